"""What files of SB3's world would do to whoever loads them, without loading any of them."""
