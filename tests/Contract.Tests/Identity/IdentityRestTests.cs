using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Xunit;

namespace Nephos.Contract.Tests.Identity;

/// <summary>What clients of the Identity API, version 3, rely on: codes, shapes and headers.</summary>
public sealed partial class IdentityRestTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    [Fact]
    public async Task The_root_lists_the_version_with_300_and_the_version_describes_itself()
    {
        var version = """{"id":"v3.14","status":"stable","updated":"2020-04-07T00:00:00Z","links":[{"rel":"self","href":"ROOT/v3/"}],"media-types":[{"base":"application/json","type":"application/vnd.openstack.identity-v3+json"}]}"""
            .Replace("ROOT", host.Root, StringComparison.Ordinal);

        var root = await host.GetAsync("/");
        Assert.Equal((300, $$$$$$"""{"versions":{"values":[{{{{{{version}}}}}}]}}"""), (root.Status, root.Body));
        foreach (var path in new[] { "/v3", "/v3/" })
        {
            var answer = await host.GetAsync(path);
            Assert.Equal((200, $$$$$$"""{"version":{{{{{{version}}}}}}}"""), (answer.Status, answer.Body));
        }
    }

    [Fact]
    public async Task Links_carry_the_host_that_the_client_sees()
    {
        var answer = await host.CallAsync(
            HttpMethod.Get, "/v3", null, null, ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "cloud.example"));

        Assert.Equal("https://cloud.example/identity/v3/", answer.Json["version"]!["links"]![0]!["href"]!.GetValue<string>());
    }

    [Fact]
    public async Task A_token_has_the_shape_that_clients_parse()
    {
        var (_, name, projectId, _, _) = await host.NewMemberAsync();

        var answer = await host.AuthenticateAsync(name, "secret", name);

        Assert.Equal(201, answer.Status);
        Assert.Equal("X-Auth-Token", answer.Headers["Vary"]);
        Assert.StartsWith("req-", answer.Headers["x-openstack-request-id"], StringComparison.Ordinal);
        var token = answer.Json["token"]!.AsObject();
        Assert.Equal(
            ["methods", "user", "audit_ids", "expires_at", "issued_at", "project", "is_domain", "roles", "catalog"], token.Select(pair => pair.Key));
        Assert.Equal(["domain", "id", "name", "password_expires_at"], token["user"]!.AsObject().Select(pair => pair.Key));
        Assert.Equal(
            $$$$$$"""{"domain":{"id":"default","name":"Default"},"id":"{{{{{{projectId}}}}}}","name":"{{{{{{name}}}}}}"}""", token["project"]!.ToJsonString());
        Assert.Matches(Moment(), token["expires_at"]!.GetValue<string>());
        Assert.Matches(Moment(), token["issued_at"]!.GetValue<string>());
        Assert.Matches("^[A-Za-z0-9_-]{22}$", token["audit_ids"]![0]!.GetValue<string>());
        Assert.Equal(["member", "reader"], token["roles"]!.AsArray().Select(role => role!["name"]!.GetValue<string>()));
        foreach (var entry in token["catalog"]!.AsArray())
        {
            Assert.Equal(["endpoints", "id", "type", "name"], entry!.AsObject().Select(pair => pair.Key));
            foreach (var endpoint in entry["endpoints"]!.AsArray())
            {
                Assert.Equal(["id", "interface", "region_id", "url", "region"], endpoint!.AsObject().Select(pair => pair.Key));
            }
        }
    }

    [Fact]
    public async Task A_token_is_validated_headed_and_deleted_and_then_not_found()
    {
        var admin = await host.AdminTokenAsync();
        var (userId, name, _, _, token) = await host.NewMemberAsync();
        (string, string) subject = ("X-Subject-Token", token);

        var shown = await host.CallAsync(HttpMethod.Get, "/v3/auth/tokens", admin, null, subject);
        var headed = await host.CallAsync(HttpMethod.Head, "/v3/auth/tokens", token, null, subject);
        var deleted = await host.CallAsync(HttpMethod.Delete, "/v3/auth/tokens", token, null, subject);
        var gone = await host.CallAsync(HttpMethod.Get, "/v3/auth/tokens", admin, null, subject);
        var headGone = await host.CallAsync(HttpMethod.Head, "/v3/auth/tokens", admin, null, subject);

        Assert.Equal((200, userId, name), (shown.Status, shown.Text("token", "user", "id"), shown.Text("token", "user", "name")));
        Assert.Equal(token, shown.Subject);
        Assert.Equal((200, ""), (headed.Status, headed.Body));
        Assert.Equal((204, ""), (deleted.Status, deleted.Body));
        Assert.Equal((404, """{"error":{"code":404,"message":"Failed to validate token","title":"Not Found"}}"""), (gone.Status, gone.Body));
        Assert.Equal((404, ""), (headGone.Status, headGone.Body));
        Assert.Equal(401, (await host.GetAsync("/v3/auth/catalog", token)).Status);
    }

    [Fact]
    public async Task Who_cannot_be_authenticated_gets_401_with_the_place_to_go_to()
    {
        foreach (var answer in new[]
        {
            await host.AuthenticateAsync("admin", "wrong", "admin"),
            await host.AuthenticateAsync("nobody", "wrong", "admin"),
            await host.AuthenticateAsync("demo", "", null),
            await host.GetAsync("/v3/users"),
            await host.GetAsync("/v3/users", "forged"),
        })
        {
            Assert.Equal(401, answer.Status);
            Assert.Equal(
                """{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}""", answer.Body);
            Assert.Equal($"Keystone uri=\"{host.Root}/v3\"", answer.Headers["WWW-Authenticate"]);
            Assert.Equal("application/json", answer.Headers["Content-Type"]);
        }
    }

    [Fact]
    public async Task The_default_domain_is_found_by_id_and_by_name()
    {
        var admin = await host.AdminTokenAsync();
        var domain = """{"id":"default","name":"Default","description":"The default domain","enabled":true,"tags":[],"options":{},"links":{"self":"ROOT/v3/domains/default"}}"""
            .Replace("ROOT", host.Root, StringComparison.Ordinal);

        Assert.Equal($$$$$$"""{"domain":{{{{{{domain}}}}}}}""", (await host.GetAsync("/v3/domains/default", admin)).Body);
        Assert.Equal(
            $$$$$$"""{"domains":[{{{{{{domain}}}}}}],"links":{"next":null,"self":"{{{{{{host.Root}}}}}}/v3/domains?name=Default","previous":null}}""",
            (await host.GetAsync("/v3/domains?name=Default", admin)).Body);
        Assert.Empty((await host.GetAsync("/v3/domains?name=default", admin)).Json["domains"]!.AsArray());
    }

    [Fact]
    public async Task New_projects_users_and_roles_have_the_known_shapes()
    {
        var admin = await host.AdminTokenAsync();
        var name = Guid.NewGuid().ToString("N");

        var project = await host.PostAsync(
            "/v3/projects", $$$$$$"""{"project":{"description":"d","domain_id":"default","name":"{{{{{{name}}}}}}"}}""", admin);
        var user = await host.PostAsync(
            "/v3/users", $$$$$$"""{"user":{"name":"{{{{{{name}}}}}}","password":"x","domain_id":"default","email":"a@b"}}""", admin);
        var role = await host.PostAsync("/v3/roles", $$$$$$"""{"role":{"name":"{{{{{{name}}}}}}"}}""", admin);

        Assert.Equal((201, 201, 201), (project.Status, user.Status, role.Status));
        var (projectId, userId, roleId) = (project.Text("project", "id"), user.Text("user", "id"), role.Text("role", "id"));
        Assert.All([projectId, userId, roleId], id => Assert.Matches("^[0-9a-f]{32}$", id));
        Assert.Equal(
            $$$$$$"""{"project":{"id":"{{{{{{projectId}}}}}}","name":"{{{{{{name}}}}}}","domain_id":"default","description":"d","enabled":true,"parent_id":"default","is_domain":false,"tags":[],"options":{},"links":{"self":"{{{{{{host.Root}}}}}}/v3/projects/{{{{{{projectId}}}}}}"}}}""",
            project.Body);
        Assert.Equal(
            $$$$$$"""{"user":{"id":"{{{{{{userId}}}}}}","name":"{{{{{{name}}}}}}","domain_id":"default","enabled":true,"password_expires_at":null,"options":{},"email":"a@b","links":{"self":"{{{{{{host.Root}}}}}}/v3/users/{{{{{{userId}}}}}}"}}}""",
            user.Body);
        Assert.Equal(
            $$$$$$"""{"role":{"id":"{{{{{{roleId}}}}}}","name":"{{{{{{name}}}}}}","domain_id":null,"description":null,"options":{},"links":{"self":"{{{{{{host.Root}}}}}}/v3/roles/{{{{{{roleId}}}}}}"}}}""",
            role.Body);
    }

    [Fact]
    public async Task An_application_credential_shows_its_secret_once_and_its_expiry_as_it_came()
    {
        var (userId, _, projectId, _, token) = await host.NewMemberAsync();
        var root = $"/v3/users/{userId}/application_credentials";

        var made = await host.PostAsync(root, """{"application_credential":{"name":"ci","expires_at":"2199-01-02T03:04:05.678901"}}""", token);

        Assert.Equal(201, made.Status);
        var credential = made.Json["application_credential"]!.AsObject();
        Assert.Equal(
            ["id", "name", "description", "user_id", "project_id", "system", "expires_at", "unrestricted", "roles", "secret", "links"],
            credential.Select(pair => pair.Key));
        Assert.Equal(("2199-01-02T03:04:05.678901", projectId), (credential["expires_at"]!.GetValue<string>(), credential["project_id"]!.GetValue<string>()));
        var id = credential["id"]!.GetValue<string>();
        Assert.False((await host.GetAsync($"{root}/{id}", token)).Json["application_credential"]!.AsObject().ContainsKey("secret"));
        Assert.Single((await host.GetAsync(root + "?name=ci", token)).Json["application_credentials"]!.AsArray());
        Assert.Empty((await host.GetAsync(root + "?name=cd", token)).Json["application_credentials"]!.AsArray());
        var used = await host.PostAsync(
            "/v3/auth/tokens",
            $$$$$$"""{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"{{{{{{id}}}}}}","secret":"{{{{{{credential["secret"]}}}}}}"}}}}""");
        Assert.Equal((201, projectId), (used.Status, used.Text("token", "project", "id")));
        Assert.Equal(204, (await host.CallAsync(HttpMethod.Delete, $"{root}/{id}", token)).Status);
        Assert.Equal(404, (await host.GetAsync($"{root}/{id}", token)).Status);
        Assert.Equal(401, (await host.GetAsync("/v3/auth/catalog", used.Subject)).Status);
    }

    [Fact]
    public async Task A_password_change_ends_old_tokens_with_404_and_refuses_old_passwords_with_400()
    {
        var (userId, name, projectId, _, token) = await host.NewMemberAsync();
        var path = $"/v3/users/{userId}/password";
        static string Change(string from, string to) => $$$$$$"""{"user":{"password":"{{{{{{to}}}}}}","original_password":"{{{{{{from}}}}}}"}}""";

        Assert.Equal(401, (await host.PostAsync(path, Change("wrong", "next"), token)).Status);
        Assert.Equal(204, (await host.PostAsync(path, Change("secret", "next"), token)).Status);
        var reused = await host.PostAsync(path, Change("next", "next"));
        var rescoped = await host.PostAsync(
            "/v3/auth/tokens",
            $$$$$$"""{"auth":{"identity":{"methods":["token"],"token":{"id":"{{{{{{token}}}}}}"}},"scope":{"project":{"id":"{{{{{{projectId}}}}}}"}}}}""");

        Assert.Equal(404, rescoped.Status);
        Assert.Equal(
            (400, """{"error":{"code":400,"message":"The new password was used before; it must differ from the last 2.","title":"Bad Request"}}"""),
            (reused.Status, reused.Body));
        Assert.Equal(401, (await host.AuthenticateAsync(name, "secret", name)).Status);
        Assert.Equal(201, (await host.AuthenticateAsync(name, "next", name)).Status);
    }

    [Fact]
    public async Task Lists_are_filtered_compared_and_paged()
    {
        var admin = await host.AdminTokenAsync();
        var prefix = Guid.NewGuid().ToString("N");
        for (var index = 0; index < 5; index++)
        {
            await host.PostAsync("/v3/projects", $$$$$$"""{"project":{"name":"{{{{{{prefix}}}}}}-{{{{{{index}}}}}}"}}""", admin);
        }

        var first = await host.GetAsync($"/v3/projects?name__startswith={prefix}&limit=3", admin);
        var next = first.Json["links"]!["next"]!.GetValue<string>();
        var second = await host.GetAsync(next[host.Root.Length..], admin);

        Assert.Equal((3, 2), (first.Json["projects"]!.AsArray().Count, second.Json["projects"]!.AsArray().Count));
        Assert.Null(second.Json["links"]!["next"]);
        Assert.Single((await host.GetAsync($"/v3/projects?name={prefix}-4", admin)).Json["projects"]!.AsArray());
        Assert.Single((await host.GetAsync($"/v3/projects?name__icontains={prefix.ToUpperInvariant()}-2", admin)).Json["projects"]!.AsArray());
        Assert.Equal(400, (await host.GetAsync("/v3/projects?limit=-1", admin)).Status);
        Assert.NotEmpty((await host.GetAsync("/v3/projects?unknown_key=1", admin)).Json["projects"]!.AsArray());
    }

    [Theory]
    [InlineData("POST", "/v3/users", "{", 400)]
    [InlineData("POST", "/v3/users", "[]", 400)]
    [InlineData("POST", "/v3/users", "{}", 400)]
    [InlineData("POST", "/v3/users", """{"user":{"name":1}}""", 400)]
    [InlineData("POST", "/v3/users", """{"user":{"name":"x","enabled":"yes"}}""", 400)]
    [InlineData("POST", "/v3/users", """{"user":{"name":"x","domain_id":"unknown"}}""", 404)]
    [InlineData("POST", "/v3/projects", """{"project":{"name":""}}""", 400)]
    [InlineData("POST", "/v3/projects", """{"project":{"name":"admin"}}""", 409)]
    [InlineData("POST", "/v3/auth/tokens", """{"auth":{"identity":{"methods":["password"]}}}""", 400)]
    [InlineData("POST", "/v3/auth/tokens", """{"auth":{"identity":{"methods":["magic"]}}}""", 401)]
    [InlineData("POST", "/v3/auth/tokens", """{"auth":{"identity":{"methods":["token"],"token":{"id":"no"}}}}""", 404)]
    [InlineData("POST", "/v3/auth/tokens", """{"auth":{"identity":{"methods":[]}}}""", 400)]
    [InlineData("POST", "/v3/services", """{"service":{}}""", 400)]
    [InlineData("POST", "/v3/endpoints", """{"endpoint":{"service_id":"no","interface":"public","url":"http://x"}}""", 400)]
    [InlineData("GET", "/v3/users/no-such-user", null, 404)]
    [InlineData("GET", "/v3/projects/no-such-project", null, 404)]
    [InlineData("GET", "/v3/projects/..%2F..%2Fetc", null, 404)]
    [InlineData("GET", "/v3/roles/no-such-role", null, 404)]
    [InlineData("GET", "/v3/users/", null, 404)]
    [InlineData("DELETE", "/v3/projects/", null, 404)]
    [InlineData("GET", "/v3/nothing", null, 404)]
    [InlineData("PUT", "/v3/users", "{}", 405)]
    [InlineData("DELETE", "/v3/domains/default", null, 403)]
    [InlineData("PATCH", "/v3/domains/default", """{"domain":{"options":{"x":true}}}""", 400)]
    [InlineData("POST", "/v3/ec2tokens", """{"credentials":{"access":"no","signature":"x"}}""", 404)]
    [InlineData("POST", "/v3/s3tokens", """{"credentials":{"access":"no","signature":"x","token":"%%"}}""", 400)]
    [InlineData("GET", "/v3/role_assignments?include_subtree", null, 400)]
    public async Task Bad_input_is_answered_with_its_code_in_the_envelope(string method, string path, string? body, int status)
    {
        var answer = await host.CallAsync(new HttpMethod(method), path, await host.AdminTokenAsync(), body);

        Assert.Equal(status, answer.Status);
        Assert.Equal(status, answer.Json["error"]!["code"]!.GetValue<int>());
        Assert.Equal("application/json", answer.Headers["Content-Type"]);
    }

    [Fact]
    public async Task Every_get_answers_head_without_a_body()
    {
        var admin = await host.AdminTokenAsync();
        foreach (var path in new[] { "/", "/v3", "/v3/users", "/v3/projects", "/v3/roles", "/v3/domains/default", "/v3/auth/catalog", "/v3/role_assignments" })
        {
            var get = await host.GetAsync(path, admin);
            var head = await host.CallAsync(HttpMethod.Head, path, admin);

            Assert.Equal((get.Status, ""), (head.Status, head.Body));
            Assert.Equal(get.Headers["Content-Type"], head.Headers["Content-Type"]);
        }
    }

    [Fact]
    public async Task A_token_with_access_rules_does_what_they_say_and_nothing_else()
    {
        var (userId, _, _, _, token) = await host.NewMemberAsync();
        var made = await host.PostAsync(
            $"/v3/users/{userId}/application_credentials",
            """{"application_credential":{"name":"ro","access_rules":[{"service":"identity","method":"GET","path":"/v3/users/*"}]}}""", token);
        var credential = made.Json["application_credential"]!;
        var used = await host.PostAsync(
            "/v3/auth/tokens",
            $$$$$$"""{"auth":{"identity":{"methods":["application_credential"],"application_credential":{"id":"{{{{{{credential["id"]}}}}}}","secret":"{{{{{{credential["secret"]}}}}}}"}}}}""");

        Assert.Equal(200, (await host.GetAsync($"/v3/users/{userId}", used.Subject)).Status);
        Assert.Equal(401, (await host.GetAsync($"/v3/users/{userId}/projects", used.Subject)).Status);
        Assert.Equal(401, (await host.GetAsync("/v3/auth/catalog", used.Subject)).Status);
        var client = new Nephos.Protos.Identity.V1.Users.UsersClient(host.Grpc);
        var overGrpc = Assert.Throws<global::Grpc.Core.RpcException>(() => client.GetUser(
            new Nephos.Protos.Identity.V1.GetUserRequest { UserId = userId }, new global::Grpc.Core.Metadata { { "authorization", "Bearer " + used.Subject } }));
        Assert.Equal(global::Grpc.Core.StatusCode.PermissionDenied, overGrpc.StatusCode);
    }

    [Fact]
    public async Task Implied_roles_answer_as_inferences()
    {
        var admin = await host.AdminTokenAsync();
        var roles = (await host.GetAsync("/v3/roles", admin)).Json["roles"]!.AsArray().ToDictionary(role => role!["name"]!.GetValue<string>(), role => role!["id"]!.GetValue<string>());
        var path = $"/v3/roles/{roles["member"]}/implies/{roles["reader"]}";

        var shown = await host.GetAsync(path, admin);

        Assert.Equal("reader", shown.Text("role_inference", "implies", "name"));
        Assert.Equal(204, (await host.CallAsync(HttpMethod.Head, path, admin)).Status);
        Assert.Equal(404, (await host.GetAsync($"/v3/roles/{roles["reader"]}/implies/{roles["member"]}", admin)).Status);
        Assert.Equal(403, (await host.CallAsync(HttpMethod.Put, $"/v3/roles/{roles["ResellerAdmin"]}/implies/{roles["admin"]}", admin)).Status);
        Assert.Equal(3, (await host.GetAsync("/v3/role_inferences", admin)).Json["role_inferences"]!.AsArray().Count);
    }

    [Fact]
    public async Task Inherited_grants_are_apart_from_direct_ones()
    {
        var admin = await host.AdminTokenAsync();
        var (userId, _, projectId, _, _) = await host.NewMemberAsync();
        var role = (await host.GetAsync("/v3/roles?name=reader", admin)).Json["roles"]![0]!["id"]!.GetValue<string>();
        var path = $"/v3/OS-INHERIT/projects/{projectId}/users/{userId}/roles/{role}/inherited_to_projects";

        Assert.Equal(404, (await host.GetAsync(path, admin)).Status);
        Assert.Equal(204, (await host.CallAsync(HttpMethod.Put, path, admin)).Status);
        Assert.Equal(204, (await host.GetAsync(path, admin)).Status);
        Assert.Single((await host.GetAsync($"/v3/OS-INHERIT/projects/{projectId}/users/{userId}/roles/inherited_to_projects", admin)).Json["roles"]!.AsArray());
        Assert.Equal(
            "member", (await host.GetAsync($"/v3/projects/{projectId}/users/{userId}/roles", admin)).Json["roles"]!.AsArray().Single()!["name"]!.GetValue<string>());
        var row = (await host.GetAsync($"/v3/role_assignments?user.id={userId}&scope.OS-INHERIT:inherited_to=projects&include_names", admin))
            .Json["role_assignments"]!.AsArray().Single()!;
        Assert.Equal(("projects", "reader"), (row["scope"]!["OS-INHERIT:inherited_to"]!.GetValue<string>(), row["role"]!["name"]!.GetValue<string>()));
        Assert.Equal(204, (await host.CallAsync(HttpMethod.Delete, path, admin)).Status);
    }

    [Fact]
    public async Task Access_keys_come_and_go_and_sign()
    {
        var admin = await host.AdminTokenAsync();
        var (userId, _, projectId, _, token) = await host.NewMemberAsync();
        var made = await host.PostAsync($"/v3/users/{userId}/credentials/OS-EC2", $$"""{"tenant_id":"{{projectId}}"}""", token);
        var (access, secret) = (made.Text("credential", "access"), made.Text("credential", "secret"));
        var text = System.Text.Encoding.UTF8.GetBytes("GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/bucket/key");
        var signature = Convert.ToBase64String(System.Security.Cryptography.HMACSHA1.HashData(System.Text.Encoding.UTF8.GetBytes(secret), text));
        string Signed(string by) => new JsonObject
        {
            ["credentials"] = new JsonObject { ["access"] = access, ["token"] = Convert.ToBase64String(text), ["signature"] = by },
        }.ToJsonString();
        var body = Signed(signature);

        Assert.Equal(201, made.Status);
        Assert.Equal(403, (await host.PostAsync("/v3/s3tokens", body, token)).Status);
        var issued = await host.PostAsync("/v3/s3tokens", body, admin);
        Assert.Equal((200, projectId, "ec2credential"), (issued.Status, issued.Text("token", "project", "id"), issued.Json["token"]!["methods"]![0]!.GetValue<string>()));
        Assert.Equal(403, (await host.GetAsync($"/v3/users/{userId}", issued.Subject)).Status);
        Assert.Equal(401, (await host.PostAsync("/v3/s3tokens", Signed("AAAAAAAA" + signature[8..]), admin)).Status);
        Assert.Equal(204, (await host.CallAsync(HttpMethod.Delete, $"/v3/users/{userId}/credentials/OS-EC2/{access}", token)).Status);
        Assert.Equal(404, (await host.GetAsync($"/v3/users/{userId}/credentials/OS-EC2/{access}", token)).Status);
    }

    [GeneratedRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")]
    private static partial Regex Moment();
}
