using Microsoft.AspNetCore.Http;
using Nephos.Hosting.Grpc;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Identity = Nephos.Protos.Identity.V1;

namespace Nephos.ObjectStorage.Swift;

/// <summary>
/// Swift's own way to a token (<c>GET /auth/v1.0</c>), older than Keystone: <c>X-Auth-User: project:user</c> with the password in
/// <c>X-Auth-Key</c> answers a token and the account's URL. The token is identity's, like any other.
/// </summary>
/// <remarks>Names are of the default domain. Without a project before the colon the user's default project is meant.</remarks>
internal sealed class SwiftAuth(Identity.Tokens.TokensClient tokens, TimeProvider time)
{
    /// <summary>Below these the version follows.</summary>
    public static readonly string[] Paths = ["/auth/v1.0", "/object/auth/v1.0"];

    private const int MaxChars = 1024;
    private static readonly Identity.DomainReference DefaultDomain = new() { Id = "default" };

    public async Task AnswerAsync(SwiftCall call)
    {
        var name = call.Header("X-Auth-User") ?? call.Header("X-Storage-User") ?? "";
        var key = call.Header("X-Auth-Key") ?? call.Header("X-Storage-Pass") ?? "";
        if (name.Length is 0 or > MaxChars || key.Length is 0 or > MaxChars)
        {
            throw SwiftFault.Unauthorized();
        }
        var colon = name.IndexOf(':', StringComparison.Ordinal);
        var request = new Identity.IssueTokenRequest
        {
            Password = new Identity.PasswordProof { User = new Identity.UserReference { Name = name[(colon + 1)..], Domain = DefaultDomain }, Password = key },
        };
        if (colon >= 0)
        {
            request.Scope = new Identity.TokenScope { Project = new Identity.ProjectReference { Name = name[..colon], Domain = DefaultDomain } };
        }
        Identity.IssueTokenResponse issued;
        try
        {
            issued = await tokens.IssueTokenAsync(
                request, deadline: time.GetUtcNow().UtcDateTime + ServiceCalls.DefaultDeadline, cancellationToken: call.Cancelled);
        }
        catch (FaultException fault) when (fault.Reason is ErrorReason.Unauthenticated or ErrorReason.NotFound or ErrorReason.InvalidArgument)
        {
            throw SwiftFault.Unauthorized();
        }
        if (issued.Description.Project is not { Id.Length: > 0 } project)
        {
            // A token without a project opens no account.
            throw SwiftFault.Unauthorized();
        }
        var left = issued.Description.ExpiresAt.ToDateTimeOffset() - call.Now;
        call.Reply("X-Storage-Url", $"{Origin(call.Http.Request)}{SwiftFace.Prefix}{SwiftPath.AccountPrefix}{project.Id}");
        call.Reply("X-Auth-Token", issued.Token);
        call.Reply("X-Storage-Token", issued.Token);
        call.Reply("X-Auth-Token-Expires", ((long)Math.Max(0, left.TotalSeconds)).ToString(System.Globalization.CultureInfo.InvariantCulture));
        await call.EmptyAsync(200);
    }

    /// <summary>As the client reached us, also through a proxy that says so.</summary>
    private static string Origin(HttpRequest request)
    {
        var forwarded = request.Headers["X-Forwarded-Proto"].ToString();
        return $"{(forwarded is "https" or "http" ? forwarded : request.Scheme)}://{request.Host}";
    }
}
