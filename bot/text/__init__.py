"""What people read, in their language, and text that members wrote, made harmless."""
