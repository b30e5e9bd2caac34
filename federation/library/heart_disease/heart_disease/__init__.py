"""A logistic regression for heart disease over hospitals, as an ordinary Flower app."""
