"""The one evaluation: probes, answers, rates and their intervals."""
