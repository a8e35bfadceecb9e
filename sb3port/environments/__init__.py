"""Gymnasium environments: made, wrapped, stepped, recorded and filmed."""
