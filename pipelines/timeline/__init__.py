"""What happens when: the plan of a clip, the frames between keyframes, the camera. No torch."""
