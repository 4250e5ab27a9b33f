"""Upload, review, approval: the library of compliance-approved material 素材."""
