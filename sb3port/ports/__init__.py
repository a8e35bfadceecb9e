"""A port on disk: the LeRobot folder, read and written without LeRobot."""
