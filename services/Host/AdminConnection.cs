using Grpc.Core;
using Grpc.Net.Client;
using IdentityWire = Nephos.Protos.Identity.V1;

namespace Nephos.Host;

/// <summary>A gRPC connection of a command to the running server, as a user of the bootstrap.</summary>
internal sealed class AdminConnection : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly GrpcChannel _channel;
    private readonly Metadata _headers;

    private AdminConnection(GrpcChannel channel, IdentityWire.IssueTokenResponse token)
    {
        _channel = channel;
        _headers = new Metadata { { "authorization", $"Bearer {token.Token}" } };
        Token = token.Description;
    }

    public GrpcChannel Channel => _channel;

    public IdentityWire.TokenDescription Token { get; }

    public CallOptions Options(CancellationToken cancellationToken) =>
        new(_headers, TimeProvider.System.GetUtcNow().UtcDateTime + Deadline, cancellationToken);

    /// <summary>To the process whose state directory it is; of a cloud of several processes that is the gateway.</summary>
    public static Task<AdminConnection> OpenAsync(string stateDirectory, CancellationToken cancellationToken) =>
        OpenAsync(RunningServer.Require(stateDirectory), stateDirectory, cancellationToken);

    /// <exception cref="RpcException">The process cannot be reached, or issues no tokens.</exception>
    /// <exception cref="CommandException">It wants a certificate that cannot be read.</exception>
    public static async Task<AdminConnection> OpenAsync(RunningServer server, string stateDirectory, CancellationToken cancellationToken)
    {
        var channel = server.Connect();
        try
        {
            var domain = new IdentityWire.DomainReference { Id = "default" };
            var token = await new IdentityWire.Tokens.TokensClient(channel).IssueTokenAsync(
                new IdentityWire.IssueTokenRequest
                {
                    Password = new IdentityWire.PasswordProof
                    {
                        User = new IdentityWire.UserReference { Name = "admin", Domain = domain },
                        Password = Secrets.Password(stateDirectory, "admin"),
                    },
                    Scope = new IdentityWire.TokenScope { Project = new IdentityWire.ProjectReference { Name = "admin", Domain = domain } },
                },
                deadline: TimeProvider.System.GetUtcNow().UtcDateTime + Deadline,
                cancellationToken: cancellationToken);
            return new AdminConnection(channel, token);
        }
        catch
        {
            channel.Dispose();
            throw;
        }
    }

    public void Dispose() => _channel.Dispose();
}
