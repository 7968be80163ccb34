"""Other frameworks beside ours: what they choose at kinks, and what their gradient checkers let through."""
