"""The attacks, by what they aim at. Each takes the targets, returns when it worked, and raises when it did not."""
