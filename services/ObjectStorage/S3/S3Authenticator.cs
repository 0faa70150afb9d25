using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using Nephos.Hosting;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Protos.Errors.V1;
using Identity = Nephos.Protos.Identity.V1;

namespace Nephos.ObjectStorage.S3;

/// <summary>Finds out who signed a request. Keys of one day are kept for as long as identity allows; revocation acts at once.</summary>
internal sealed class S3Authenticator(
    Identity.Ec2Credentials.Ec2CredentialsClient credentials, ServiceCalls calls, ITokenVerifier tokens, TimeProvider time)
{
    private const int MaxKeys = 10_000;

    private readonly ConcurrentDictionary<(string AccessKey, string Scope), Identity.GetSigningKeyResponse> _keys = new();

    /// <returns>Who asks, and the claim with the key that proved it, which signed chunks need too.</returns>
    /// <exception cref="S3Fault">The request is not signed, or not by whom it says.</exception>
    public async ValueTask<(OperationContext Operation, SignatureClaim Claim, byte[] SigningKey)> AuthenticateAsync(
        HttpRequest request, S3Target target, CancellationToken cancellationToken)
    {
        var claim = SignatureV4.Read(request, target, time.GetUtcNow()) ?? throw S3Fault.AccessDenied();
        var (key, operation) = await FindAsync(claim, cancellationToken);
        var signingKey = key.SigningKey.ToByteArray();
        return SignatureV4.Verify(claim, request, target, signingKey)
            ? (operation, claim, signingKey)
            : throw S3Fault.SignatureDoesNotMatch();
    }

    private async ValueTask<(Identity.GetSigningKeyResponse Key, OperationContext Operation)> FindAsync(
        SignatureClaim claim, CancellationToken cancellationToken)
    {
        var id = (claim.AccessKey, claim.Scope);
        if (_keys.TryGetValue(id, out var known) && known.ExpiresAt.ToDateTimeOffset() > time.GetUtcNow() &&
            await tokens.VerifyAsync(known.Token, RequestIds.New(), cancellationToken) is { } live)
        {
            return (known, live);
        }
        try
        {
            var key = await credentials.GetSigningKeyAsync(
                new Identity.GetSigningKeyRequest { AccessKey = claim.AccessKey, Date = claim.Date, Region = claim.Region, Service = claim.Service },
                await calls.AsServiceAsync(cancellationToken));
            if (_keys.Count >= MaxKeys)
            {
                _keys.Clear();
            }
            _keys[id] = key;
            return (key, await tokens.VerifyAsync(key.Token, RequestIds.New(), cancellationToken) ?? throw InvalidKey());
        }
        catch (FaultException fault) when (fault.Reason is ErrorReason.Unauthenticated or ErrorReason.NotFound)
        {
            _keys.TryRemove(id, out _);
            throw InvalidKey();
        }
    }

    private static S3Fault InvalidKey() =>
        new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.");
}
