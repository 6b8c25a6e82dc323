"""Marks of the tests here: long ones run with `make test-all` only."""


def pytest_configure(config):
    config.addinivalue_line('markers', 'long: takes more than half a minute')
