"""What every room uses: errors, files, progress, devices, paths, figures."""
