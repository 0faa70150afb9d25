using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Credentials;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Tokens;

internal sealed class TokensGrpcService(
    TokenService tokens, Ec2Service accessKeys, SigningKeyring keyring, LocalTokenAuthority authority, TimeProvider time)
    : Wire.Tokens.TokensBase
{
    /// <summary>Several within the silence that receivers bear.</summary>
    private static readonly TimeSpan HeartbeatInterval = TimeSpan.FromMilliseconds(250);

    [AllowAnonymousOperation]
    public override async Task<Wire.IssueTokenResponse> IssueToken(Wire.IssueTokenRequest request, ServerCallContext context)
    {
        var (token, description) = await tokens.IssueAsync(request.ToRequest(), context.CancellationToken);
        return new Wire.IssueTokenResponse { Token = token, Description = description.ToWire() };
    }

    public override async Task<Wire.IssueTokenResponse> IssueEc2Token(Wire.IssueEc2TokenRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var (token, description) = request.SignedCase switch
        {
            Wire.IssueEc2TokenRequest.SignedOneofCase.Request => await accessKeys.AuthenticateAsync(
                operation,
                new SignedRequest
                {
                    Access = request.AccessKey,
                    Signature = request.Signature,
                    Host = request.Request.Host,
                    Verb = request.Request.Verb,
                    Path = request.Request.Path,
                    Params = request.Request.Params,
                    Headers = request.Request.Headers,
                    BodyHash = request.Request.BodyHash,
                },
                context.CancellationToken),
            Wire.IssueEc2TokenRequest.SignedOneofCase.StringToSign => await accessKeys.AuthenticateAsync(
                operation, request.AccessKey, request.StringToSign.ToByteArray(), request.Signature, context.CancellationToken),
            _ => throw Faults.Invalid("signed", "a request or a string to sign is needed"),
        };
        return new Wire.IssueTokenResponse { Token = token, Description = description.ToWire() };
    }

    public override async Task<Wire.TokenDescription> ValidateToken(Wire.ValidateTokenRequest request, ServerCallContext context) =>
        (await tokens.ValidateAsync(
            context.GetOperation(), request.Token, request.AllowExpired, request.EnforcesAccessRules, context.CancellationToken))
        .ToWire();

    public override async Task<Empty> RevokeToken(Wire.RevokeTokenRequest request, ServerCallContext context)
    {
        await tokens.RevokeAsync(context.GetOperation(), request.Token, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> RevokeAll(Wire.RevokeAllRequest request, ServerCallContext context)
    {
        var subject = request.SubjectCase switch
        {
            Wire.RevokeAllRequest.SubjectOneofCase.UserId => RevocationSubject.User(request.UserId),
            Wire.RevokeAllRequest.SubjectOneofCase.ProjectId => RevocationSubject.Project(request.ProjectId),
            Wire.RevokeAllRequest.SubjectOneofCase.DomainId => RevocationSubject.Domain(request.DomainId),
            Wire.RevokeAllRequest.SubjectOneofCase.ApplicationCredentialId =>
                RevocationSubject.Credential(request.ApplicationCredentialId),
            _ => throw Faults.Invalid("subject", "one is needed"),
        };
        await tokens.RevokeAllAsync(context.GetOperation(), subject, context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.ListScopesResponse> ListScopes(Wire.ListScopesRequest request, ServerCallContext context)
    {
        var operation = context.GetOperation();
        var projects = await tokens.ListProjectsAsync(operation, context.CancellationToken);
        var domains = await tokens.ListDomainsAsync(operation, context.CancellationToken);
        return new Wire.ListScopesResponse
        {
            Projects = { projects.Select(project => new Wire.NamedReference { Id = project.Id, Name = project.Name, DomainId = project.OwnerDomainId }) },
            Domains = { domains.Select(domain => new Wire.NamedReference { Id = domain.Id, Name = domain.Name }) },
            System = await tokens.MaySystemAsync(operation, context.CancellationToken),
        };
    }

    [AllowAnonymousOperation]
    public override async Task<Wire.SigningKeys> GetSigningKeys(Wire.GetSigningKeysRequest request, ServerCallContext context)
    {
        await authority.GetKeysAsync(context.CancellationToken);
        return Keys();
    }

    public override async Task<Wire.SigningKeys> RotateSigningKey(Wire.RotateSigningKeyRequest request, ServerCallContext context)
    {
        await tokens.RotateSigningKeyAsync(context.GetOperation(), context.CancellationToken);
        return Keys();
    }

    public override async Task WatchRevocations(
        Wire.WatchRevocationsRequest request, IServerStreamWriter<Wire.RevocationEvent> responseStream, ServerCallContext context)
    {
        context.GetOperation().RequireService("identity:watch_revocations");
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        var cancellationToken = ending.Token;
        await using var events = authority.WatchAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        var next = events.MoveNextAsync().AsTask();
        try
        {
            while (true)
            {
                // One write at a time is allowed on a stream, so the heartbeats come from the same loop.
                if (await Task.WhenAny(next, Task.Delay(HeartbeatInterval, time, cancellationToken)) != next)
                {
                    await responseStream.WriteAsync(new Wire.RevocationEvent { Heartbeat = true }, cancellationToken);
                    continue;
                }
                if (!await next)
                {
                    return;
                }
                await responseStream.WriteAsync(ToWire(events.Current), cancellationToken);
                next = events.MoveNextAsync().AsTask();
            }
        }
        finally
        {
            // The client went away while an event was waited for; what is waited for cannot be disposed of.
            await ending.CancelAsync();
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private Wire.RevocationEvent ToWire(TokenAuthorityEvent told) => told switch
    {
        TokenAuthorityEvent.Revoked revoked => new Wire.RevocationEvent
        {
            Revocation = new Wire.Revocation
            {
                Subject = revoked.Revocation.Subject,
                Epoch = revoked.Revocation.Epoch,
                Until = Timestamp.FromDateTimeOffset(revoked.Revocation.Until),
            },
        },
        TokenAuthorityEvent.Keys => new Wire.RevocationEvent { Keys = Keys() },
        TokenAuthorityEvent.Synchronized => new Wire.RevocationEvent { Synchronized = true },
        _ => new Wire.RevocationEvent { Heartbeat = true },
    };

    private Wire.SigningKeys Keys() => new()
    {
        Keys =
        {
            keyring.Records.Select(record => new Wire.SigningKey
            {
                KeyId = record.KeyId,
                PublicKey = ByteString.CopyFrom(record.PublicKey),
                NotBefore = Timestamp.FromDateTimeOffset(record.CreatedAt),
                ExpiresAt = SigningKeyring.EndOf(record) is { } end ? Timestamp.FromDateTimeOffset(end) : null,
            }),
        },
    };
}
