"""Compiled and plain ways to compute the same thing: the training step and the Gibbs sampler's
sweep.
"""
