using Grpc.Core;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;
using Xunit;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Contract.Tests.Identity;

/// <summary>The same service over gRPC.</summary>
public sealed class IdentityGrpcTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    private readonly Wire.Tokens.TokensClient _tokens = new(host.Grpc);
    private readonly Wire.Projects.ProjectsClient _projects = new(host.Grpc);
    private readonly Wire.Users.UsersClient _users = new(host.Grpc);

    [Fact]
    public async Task A_token_is_issued_without_a_token_and_described_with_one()
    {
        var issued = await IssueAsync("admin", host.AdminPassword, "admin");

        var described = await _tokens.ValidateTokenAsync(new Wire.ValidateTokenRequest { Token = issued.Token }, As(issued.Token));

        Assert.Equal(issued.Description, described);
        Assert.Equal(["admin", "manager", "member", "reader"], described.Roles.Select(role => role.Name));
        Assert.Equal(("admin", "default", "Default"), (described.Project.Name, described.Project.DomainId, described.Project.DomainName));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("forged")]
    public async Task Without_a_valid_token_a_call_is_unauthenticated(string? token)
    {
        var exception = await Assert.ThrowsAsync<RpcException>(async () =>
            await _projects.ListProjectsAsync(new Wire.ListProjectsRequest(), token is null ? null : As(token)));

        Assert.Equal(StatusCode.Unauthenticated, exception.StatusCode);
        Assert.Equal(ErrorReason.Unauthenticated, exception.ToFault().Reason);
    }

    [Fact]
    public async Task A_project_is_made_once_changed_by_mask_listed_in_pages_and_deleted()
    {
        var admin = As(await AdminAsync());
        var name = Guid.NewGuid().ToString("N");
        var request = new Wire.CreateProjectRequest { Project = new Wire.Project { Name = name, Description = "d" }, IdempotencyKey = name };

        var made = await _projects.CreateProjectAsync(request, admin);
        var again = await _projects.CreateProjectAsync(request, admin);
        var changed = await _projects.UpdateProjectAsync(
            new Wire.UpdateProjectRequest
            {
                Project = new Wire.Project { Id = made.Id, Name = "ignored", Enabled = false },
                UpdateMask = new Google.Protobuf.WellKnownTypes.FieldMask { Paths = { "enabled" } },
            },
            admin);

        Assert.Equal(made, again);
        Assert.Equal((name, "d", false), (changed.Name, changed.Description, changed.Enabled));
        var seen = new List<string>();
        var page = new Wire.ListProjectsResponse();
        do
        {
            page = await _projects.ListProjectsAsync(new Wire.ListProjectsRequest { PageSize = 1, PageToken = page.NextPageToken }, admin);
            seen.AddRange(page.Projects.Select(project => project.Id));
        }
        while (page.NextPageToken.Length > 0);
        Assert.Contains(made.Id, seen);
        Assert.Equal(seen.Distinct(), seen);
        await _projects.DeleteProjectAsync(new Wire.DeleteProjectRequest { ProjectId = made.Id }, admin);
        var gone = await Assert.ThrowsAsync<RpcException>(async () =>
            await _projects.GetProjectAsync(new Wire.GetProjectRequest { ProjectId = made.Id }, admin));
        Assert.Equal(StatusCode.NotFound, gone.StatusCode);
    }

    [Fact]
    public async Task A_mask_with_a_field_that_cannot_change_is_refused()
    {
        var admin = As(await AdminAsync());

        var exception = await Assert.ThrowsAsync<RpcException>(async () => await _projects.UpdateProjectAsync(
            new Wire.UpdateProjectRequest
            {
                Project = new Wire.Project { Id = "x" },
                UpdateMask = new Google.Protobuf.WellKnownTypes.FieldMask { Paths = { "domain_id" } },
            },
            admin));

        Assert.Equal((StatusCode.InvalidArgument, "update_mask"), (exception.StatusCode, exception.ToFault().Metadata["field"]));
    }

    [Fact]
    public async Task A_watch_tells_what_is_there_then_what_happens()
    {
        var admin = As(await AdminAsync());
        using var watch = _users.WatchUsers(new Wire.WatchUsersRequest(), admin);
        var names = new List<string>();
        while (await watch.ResponseStream.MoveNext() && !watch.ResponseStream.Current.Synchronized)
        {
            names.Add(watch.ResponseStream.Current.Changed.Name);
        }
        var made = await _users.CreateUserAsync(
            new Wire.CreateUserRequest { User = new Wire.User { Name = Guid.NewGuid().ToString("N"), Password = "secret" } }, admin);
        Assert.True(await watch.ResponseStream.MoveNext());
        var came = watch.ResponseStream.Current.Changed;
        await _users.DeleteUserAsync(new Wire.DeleteUserRequest { UserId = made.Id }, admin);
        Assert.True(await watch.ResponseStream.MoveNext());

        Assert.Superset(new HashSet<string> { "admin", "demo", "nephos" }, names.ToHashSet());
        Assert.Equal((made.Id, ""), (came.Id, came.Password));
        Assert.Equal(made.Id, watch.ResponseStream.Current.DeletedId);
    }

    [Fact]
    public async Task Revocations_are_streamed_to_services_with_heartbeats_and_to_nobody_else()
    {
        var admin = await AdminAsync();
        using var refused = _tokens.WatchRevocations(new Wire.WatchRevocationsRequest(), As(admin));
        Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(() => refused.ResponseStream.MoveNext())).StatusCode);
        var service = await IssueAsync("nephos", host.ServicePassword, "service");
        using var watch = _tokens.WatchRevocations(new Wire.WatchRevocationsRequest(), As(service.Token));
        await NextAsync(told => told.Synchronized);

        await _tokens.RevokeTokenAsync(new Wire.RevokeTokenRequest { Token = admin }, As(admin));

        var revoked = await NextAsync(told => told.EventCase == Wire.RevocationEvent.EventOneofCase.Revocation);
        Assert.StartsWith("t/", revoked.Revocation.Subject, StringComparison.Ordinal);
        Assert.True((await NextAsync(told => told.Heartbeat)).Heartbeat);

        async Task<Wire.RevocationEvent> NextAsync(Func<Wire.RevocationEvent, bool> isWanted)
        {
            while (await watch.ResponseStream.MoveNext())
            {
                if (isWanted(watch.ResponseStream.Current))
                {
                    return watch.ResponseStream.Current;
                }
            }
            throw new EndOfStreamException();
        }
    }

    [Fact]
    public async Task A_service_gets_the_day_key_of_an_access_key()
    {
        var member = await host.NewMemberAsync();
        var keys = new Wire.Ec2Credentials.Ec2CredentialsClient(host.Grpc);
        var key = await keys.CreateEc2CredentialAsync(new Wire.CreateEc2CredentialRequest { ProjectId = member.ProjectId }, As(member.Token));
        var service = await IssueAsync("nephos", host.ServicePassword, "service");

        var day = await keys.GetSigningKeyAsync(
            new Wire.GetSigningKeyRequest { AccessKey = key.AccessKey, Date = "20300101", Region = "RegionOne", Service = "s3" }, As(service.Token));

        Assert.Equal(32, day.SigningKey.Length);
        Assert.Equal((member.UserId, member.ProjectId), (day.UserId, day.ProjectId));
        Assert.Equal(["member", "reader"], day.Roles);
    }

    private static Metadata As(string token) => new() { { "authorization", "Bearer " + token } };

    private async Task<string> AdminAsync() => (await IssueAsync("admin", host.AdminPassword, "admin")).Token;

    private async Task<Wire.IssueTokenResponse> IssueAsync(string user, string password, string project) => await _tokens.IssueTokenAsync(new Wire.IssueTokenRequest
    {
        Password = new Wire.PasswordProof
        {
            User = new Wire.UserReference { Name = user, Domain = new Wire.DomainReference { Id = "default" } },
            Password = password,
        },
        Scope = new Wire.TokenScope { Project = new Wire.ProjectReference { Name = project, Domain = new Wire.DomainReference { Id = "default" } } },
    });
}
