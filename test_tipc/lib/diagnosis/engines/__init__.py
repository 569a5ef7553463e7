"""What Paddle Inference and other engines switch on, one after the other, in a child process."""
