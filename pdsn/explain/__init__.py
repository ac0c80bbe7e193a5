"""Why a score is what it is: where it comes from in the face, with and without the FDM."""
