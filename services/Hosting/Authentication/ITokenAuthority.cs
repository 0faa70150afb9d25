namespace Nephos.Hosting.Authentication;

/// <summary>Something the identity service tells those who verify tokens.</summary>
public abstract record TokenAuthorityEvent
{
    private TokenAuthorityEvent()
    {
    }

    public sealed record Revoked(TokenRevocation Revocation) : TokenAuthorityEvent;

    /// <summary>The complete set of public keys.</summary>
    public sealed record Keys(IReadOnlyList<TokenSigningKey> All) : TokenAuthorityEvent;

    /// <summary>Everything revoked before the stream began has been told.</summary>
    public sealed record Synchronized : TokenAuthorityEvent;

    /// <summary>Comes several times a second, so that silence means that the stream is lost.</summary>
    public sealed record Heartbeat : TokenAuthorityEvent;
}

/// <summary>Whoever issues and revokes tokens: the identity service, in this process or behind gRPC.</summary>
public interface ITokenAuthority
{
    /// <summary>How long the stream may be silent before nothing may be believed without asking; infinite within one process.</summary>
    TimeSpan MaxSilence { get; }

    /// <summary>The keys, everything revoked so far, <c>Synchronized</c>, then what happens. Ends when the stream is lost.</summary>
    IAsyncEnumerable<TokenAuthorityEvent> WatchAsync(CancellationToken cancellationToken);

    /// <summary>Asks for the keys now, for a token whose key has not come down the stream.</summary>
    /// <exception cref="Kernel.Errors.FaultException">Unavailable: the authority cannot be asked.</exception>
    ValueTask<IReadOnlyList<TokenSigningKey>> GetKeysAsync(CancellationToken cancellationToken);

    /// <summary>Asks whether a token is valid now.</summary>
    /// <exception cref="Kernel.Errors.FaultException">Unavailable: the authority cannot be asked.</exception>
    ValueTask<bool> IsValidAsync(string token, CancellationToken cancellationToken);
}
