"""What a user names, resolved to files on this machine: the Hub, layouts, and which files go together."""
