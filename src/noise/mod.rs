//! Noise_XX_25519_ChaChaPoly_SHA256: bytes in, bytes out. <https://noiseprotocol.org/noise.html>, revision 34.
