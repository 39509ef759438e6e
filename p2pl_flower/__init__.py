"""Serverless peer-to-peer deep learning (P2PL) for the Flower framework."""
