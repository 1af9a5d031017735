"""TransFuser (Chitta et al., PAMI 2023): one trajectory regressed from queries that attend to the BEV map."""
