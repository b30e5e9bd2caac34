"""The page's views: each takes a visit and answers it."""
