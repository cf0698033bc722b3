"""Inputs that are odd, damaged or malicious, small and made in code, for the tests of all parts."""
