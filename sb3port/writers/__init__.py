"""Writing checkpoints: each writer fills a temporary folder and moves it into place when it is whole."""
