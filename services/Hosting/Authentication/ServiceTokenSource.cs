using System.ComponentModel.DataAnnotations;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Hosting.Authentication;

/// <summary>Whom this process is when it calls other services. Configuration section <c>ServiceUser</c>.</summary>
public sealed class ServiceUserOptions
{
    public const string Section = "ServiceUser";

    /// <summary>The name of the file below the secrets directory that holds the password.</summary>
    public const string DefaultPasswordFile = "service.password";

    [Required(AllowEmptyStrings = false)]
    public string UserName { get; set; } = "nephos";

    [Required(AllowEmptyStrings = false)]
    public string ProjectName { get; set; } = "service";

    [Required(AllowEmptyStrings = false)]
    public string DomainId { get; set; } = "default";

    /// <summary>Null: <see cref="DefaultPasswordFile"/> in the secrets directory of the process.</summary>
    public string? PasswordFile { get; set; }

    public string PasswordFileIn(NephosOptions options) => PasswordFile ?? Path.Combine(options.SecretsDirectory, DefaultPasswordFile);
}

/// <summary>Obtains the token of the service user, and a new one before it ends or once it is revoked. Thread-safe.</summary>
internal sealed class ServiceTokenSource(
    Wire.Tokens.TokensClient tokens, RevocationTable revocations, NephosOptions options, ServiceUserOptions user, TimeProvider time)
    : IServiceTokenSource, IDisposable
{
    private static readonly TimeSpan MinRemaining = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan IssueDeadline = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _oneAtATime = new(1, 1);
    private volatile Held? _held;

    public async ValueTask<string> GetAsync(CancellationToken cancellationToken)
    {
        if (Usable() is { } token)
        {
            return token;
        }
        await _oneAtATime.WaitAsync(cancellationToken);
        try
        {
            return Usable() ?? await IssueAsync(cancellationToken);
        }
        finally
        {
            _oneAtATime.Release();
        }
    }

    public void Dispose() => _oneAtATime.Dispose();

    private string? Usable() =>
        _held is { } held && held.Claims.ExpiresAt - time.GetUtcNow() > MinRemaining &&
        !revocations.IsRevoked(held.Subjects, held.Claims.Epochs)
            ? held.Token
            : null;

    private async Task<string> IssueAsync(CancellationToken cancellationToken)
    {
        var domain = new Wire.DomainReference { Id = user.DomainId };
        var issued = await tokens.IssueTokenAsync(
            new Wire.IssueTokenRequest
            {
                Password = new Wire.PasswordProof
                {
                    User = new Wire.UserReference { Name = user.UserName, Domain = domain },
                    Password = await ReadPasswordAsync(cancellationToken),
                },
                Scope = new Wire.TokenScope { Project = new Wire.ProjectReference { Name = user.ProjectName, Domain = domain } },
            },
            deadline: (time.GetUtcNow() + IssueDeadline).UtcDateTime,
            cancellationToken: cancellationToken);
        var claims = TokenCodec.DecodeTrusted(issued.Token) ?? throw Faults.Unavailable("The identity service issued a token that cannot be read.");
        _held = new Held(issued.Token, claims, claims.Subjects());
        return issued.Token;
    }

    private async Task<string> ReadPasswordAsync(CancellationToken cancellationToken)
    {
        var path = user.PasswordFileIn(options);
        try
        {
            return (await File.ReadAllTextAsync(path, cancellationToken)).Trim();
        }
        catch (IOException exception)
        {
            throw Faults.Unavailable($"The password of the service user cannot be read from {path}.", exception);
        }
    }

    private sealed record Held(string Token, TokenClaims Claims, IReadOnlyList<string> Subjects);
}
