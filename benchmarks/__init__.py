"""Benchmarks: ratios against peers in one run, never timed tests.   python -m benchmarks [--json]"""
