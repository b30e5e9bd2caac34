"""What people do, from sign-in to result, in a browser on the whole stack: one story a guide, one step a heading.

A guide in `docs/guide` has a heading for each step of its story, and below it the picture that the story takes there
(`make guide` takes them anew). The story fails when guide and steps differ.
"""
