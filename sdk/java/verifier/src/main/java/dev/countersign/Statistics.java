package dev.countersign;

/**
 * What a {@link Verifier} has counted, for metrics.
 *
 * @param verified how many tokens were good
 * @param invalid how many were refused
 * @param unknown of how many nothing could be known
 * @param asked how often the server was asked for a token
 * @param streamsEnded how many streams of revocations were lost, or ended by the server
 * @param revocations how many revoked sessions and raised epochs are remembered
 * @param cachedTokens how many verified tokens are remembered
 */
public record Statistics(
    long verified,
    long invalid,
    long unknown,
    long asked,
    long streamsEnded,
    long revocations,
    long cachedTokens) {}
