"""Test vectors any framework can be held against, and the check that holds a user's function against them."""
