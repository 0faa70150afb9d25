using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Hosting.Authentication;

/// <summary>The identity service in another process.</summary>
internal sealed class RemoteTokenAuthority(Wire.Tokens.TokensClient tokens, ServiceCalls calls, TimeProvider time) : ITokenAuthority
{
    private static readonly TimeSpan AskDeadline = TimeSpan.FromSeconds(5);

    /// <summary>Some heartbeats may be late on a busy machine; more means that revocations may be missed.</summary>
    public TimeSpan MaxSilence { get; } = TimeSpan.FromMilliseconds(900);

    public async IAsyncEnumerable<TokenAuthorityEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var call = tokens.WatchRevocations(
            new Wire.WatchRevocationsRequest(), await calls.AsServiceAsync(cancellationToken, Timeout.InfiniteTimeSpan));
        await foreach (var told in call.ResponseStream.ReadAllAsync(cancellationToken))
        {
            yield return told.EventCase switch
            {
                Wire.RevocationEvent.EventOneofCase.Revocation => new TokenAuthorityEvent.Revoked(new TokenRevocation(
                    told.Revocation.Subject, told.Revocation.Epoch, told.Revocation.Until.ToDateTimeOffset())),
                Wire.RevocationEvent.EventOneofCase.Keys => new TokenAuthorityEvent.Keys(ToKeys(told.Keys)),
                Wire.RevocationEvent.EventOneofCase.Synchronized => new TokenAuthorityEvent.Synchronized(),
                _ => new TokenAuthorityEvent.Heartbeat(),
            };
        }
    }

    public async ValueTask<IReadOnlyList<TokenSigningKey>> GetKeysAsync(CancellationToken cancellationToken) =>
        ToKeys(await tokens.GetSigningKeysAsync(
            new Wire.GetSigningKeysRequest(), deadline: (time.GetUtcNow() + AskDeadline).UtcDateTime, cancellationToken: cancellationToken));

    public async ValueTask<bool> IsValidAsync(string token, CancellationToken cancellationToken)
    {
        try
        {
            await tokens.ValidateTokenAsync(
                new Wire.ValidateTokenRequest { Token = token, EnforcesAccessRules = true },
                await calls.AsServiceAsync(cancellationToken, AskDeadline));
            return true;
        }
        catch (FaultException fault) when (fault.Reason == ErrorReason.NotFound)
        {
            return false;
        }
        catch (FaultException fault)
        {
            throw Faults.Unavailable("The identity service cannot be asked whether the token is valid.", fault);
        }
    }

    private static IReadOnlyList<TokenSigningKey> ToKeys(Wire.SigningKeys keys) =>
        [.. keys.Keys.Select(key => TokenSigningKey.FromPublic(key.KeyId, key.PublicKey.Span))];
}
