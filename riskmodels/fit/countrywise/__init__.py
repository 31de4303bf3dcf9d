"""Engine for models whose countries are independent given what they share, with likelihoods of any shape per country."""
