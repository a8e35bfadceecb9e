"""What each command does, as functions: the only place that ties the rooms together."""
