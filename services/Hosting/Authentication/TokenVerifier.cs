using System.Collections.Frozen;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;

namespace Nephos.Hosting.Authentication;

/// <summary>Verifies tokens in this process: signature and expiry by itself, revocations from the authority's stream.</summary>
/// <remarks>
/// A token that verified once is remembered, so that the next check is a look-up: the signature of a token does not change, and
/// the revocations are compared again whenever there is a new one. While the stream is lost, or longer silent than it may be,
/// the authority is asked about every token; when it cannot be asked the call fails as unavailable and nothing is believed.
/// </remarks>
public sealed partial class TokenVerifier : BackgroundService, ITokenVerifier
{
    /// <summary>Tokens remembered in one generation of the cache.</summary>
    private const int MaxCachedTokens = 8192;

    private static readonly TimeSpan PauseAfterLoss = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan KeyRefreshInterval = TimeSpan.FromSeconds(1);

    private readonly ITokenAuthority _authority;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TokenCache<Verified> _cache = new(MaxCachedTokens);
    private FrozenDictionary<string, TokenSigningKey> _keys = FrozenDictionary<string, TokenSigningKey>.Empty;
    private volatile bool _isSynchronized;
    private long _lastHeard;
    private readonly Lock _askGate = new();
    private long? _lastAsked;

    public TokenVerifier(ITokenAuthority authority, RevocationTable revocations, TimeProvider time, ILogger<TokenVerifier> logger)
    {
        _authority = authority;
        Revocations = revocations;
        _time = time;
        _logger = logger;
        _lastHeard = time.GetTimestamp();
    }

    public RevocationTable Revocations { get; }

    /// <summary>Whether revocations are known as they happen, so that tokens are verified without asking.</summary>
    public bool IsCurrent =>
        _isSynchronized && (_authority.MaxSilence == Timeout.InfiniteTimeSpan || _time.GetElapsedTime(Volatile.Read(ref _lastHeard)) <= _authority.MaxSilence);

    public async ValueTask<OperationContext?> VerifyAsync(string token, string requestId, CancellationToken cancellationToken) =>
        await FindAsync(token, cancellationToken) is { } verified ? verified.Operation with { RequestId = requestId } : null;

    /// <summary>The claims of a token that is valid now, or null.</summary>
    /// <exception cref="FaultException">Unavailable: nobody can tell.</exception>
    public async ValueTask<TokenClaims?> FindClaimsAsync(string token, CancellationToken cancellationToken) =>
        (await FindAsync(token, cancellationToken))?.Claims;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception)
            {
                // Once, not at every attempt to get it back.
                if (_isSynchronized)
                {
                    LogLost(exception.Message);
                }
                else
                {
                    LogStillLost(exception.Message);
                }
            }
            _isSynchronized = false;
            await Task.Delay(PauseAfterLoss, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async ValueTask<Verified?> FindAsync(string token, CancellationToken cancellationToken)
    {
        var verified = _cache.Get(token);
        if (verified is null)
        {
            if (await DecodeAsync(token, cancellationToken) is not { } claims)
            {
                return null;
            }
            verified = new Verified(claims, claims.ToOperation(token), claims.Subjects());
            _cache.Set(token, verified);
        }
        var version = Revocations.Version;
        if (verified.Claims.ExpiresAt <= _time.GetUtcNow() ||
            (verified.CheckedVersion != version && Revocations.IsRevoked(verified.Subjects, verified.Claims.Epochs)))
        {
            _cache.Remove(token);
            return null;
        }
        verified.CheckedVersion = version;
        return IsCurrent || await _authority.IsValidAsync(token, cancellationToken) ? verified : null;
    }

    private async ValueTask<TokenClaims?> DecodeAsync(string token, CancellationToken cancellationToken)
    {
        var isKeyUnknown = false;
        var claims = TokenCodec.Decode(token, FindKey);
        if (claims is null && isKeyUnknown && MayAskForKeys())
        {
            SetKeys(await _authority.GetKeysAsync(cancellationToken));
            claims = TokenCodec.Decode(token, FindKey);
        }
        return claims;

        TokenSigningKey? FindKey(string keyId)
        {
            var key = Volatile.Read(ref _keys).GetValueOrDefault(keyId);
            isKeyUnknown = key is null;
            return key;
        }
    }

    /// <summary>Anyone can name a key that does not exist, so the authority is not asked each time.</summary>
    private bool MayAskForKeys()
    {
        lock (_askGate)
        {
            if (_lastAsked is { } last && _time.GetElapsedTime(last) < KeyRefreshInterval)
            {
                return false;
            }
            _lastAsked = _time.GetTimestamp();
            return true;
        }
    }

    // Keys that went are not disposed: a verification may be using them.
    private void SetKeys(IReadOnlyList<TokenSigningKey> keys) =>
        Volatile.Write(ref _keys, keys.ToFrozenDictionary(key => key.KeyId, StringComparer.Ordinal));

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        await foreach (var told in _authority.WatchAsync(cancellationToken))
        {
            switch (told)
            {
                case TokenAuthorityEvent.Revoked revoked:
                    Revocations.Apply(revoked.Revocation);
                    break;
                case TokenAuthorityEvent.Keys keys:
                    SetKeys(keys.All);
                    break;
                case TokenAuthorityEvent.Synchronized:
                    _isSynchronized = true;
                    LogSynchronized(Revocations.Count);
                    break;
                default:
                    break;
            }
            Volatile.Write(ref _lastHeard, _time.GetTimestamp());
        }
    }

    [LoggerMessage(LogLevel.Warning, "The stream of revocations was lost, each token is asked about until it is back: {Reason}")]
    private partial void LogLost(string reason);

    [LoggerMessage(LogLevel.Debug, "The stream of revocations is not back: {Reason}")]
    private partial void LogStillLost(string reason);

    [LoggerMessage(LogLevel.Information, "Revocations are followed; {Count} are known")]
    private partial void LogSynchronized(int count);

    private sealed class Verified(TokenClaims claims, OperationContext operation, IReadOnlyList<string> subjects)
    {
        private long _checkedVersion = -1;

        public TokenClaims Claims => claims;

        public OperationContext Operation => operation;

        public IReadOnlyList<string> Subjects => subjects;

        /// <summary>The version of the revocations that did not concern the token.</summary>
        public long CheckedVersion
        {
            get => Volatile.Read(ref _checkedVersion);
            set => Volatile.Write(ref _checkedVersion, value);
        }
    }
}
