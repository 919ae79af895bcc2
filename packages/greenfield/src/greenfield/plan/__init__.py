"""Declaration and catalogue in, Plan out: resolve, place, name, grant, order, size. Pure."""
