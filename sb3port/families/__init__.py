"""What each kind of checkpoint means: which classes are supported, and how their tensors make a policy."""
