"""How fragile each number is: other priors, by reweighting the draws there are."""
