"""The processes that train one policy together, each with its share of the environments."""
