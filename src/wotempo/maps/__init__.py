"""nuPlan GPKG maps."""
