"""What several test files share: small files and models, reporters, stand-ins for devices."""
