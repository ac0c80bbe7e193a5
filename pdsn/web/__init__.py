"""The page and its REST: people of a store are recognised, enrolled, renamed and removed, over `pdsn.api` alone."""
