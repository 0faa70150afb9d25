using System.Text.Json.Nodes;
using Nephos.Testing;
using Xunit;

namespace Nephos.Contract.Tests.Identity;

/// <summary>Every object of the Identity API has the keys that clients read, and nobody reaches what is not theirs.</summary>
public sealed class IdentityShapeTests(IdentityHost host) : IClassFixture<IdentityHost>
{
    [Fact]
    public async Task Objects_have_the_keys_and_types_that_clients_read()
    {
        var admin = await host.AdminTokenAsync();
        var service = await MadeAsync(admin, "services", "service", """{"type":"t","name":"n"}""", "id:s type:s enabled:b name:s links:o");
        var name = Guid.NewGuid().ToString("N");

        await MadeAsync(admin, "projects", "project", $$"""{"name":"{{name}}"}""", "id:s name:s description:s domain_id:s enabled:b is_domain:b parent_id:s tags:l options:o links:o");
        await MadeAsync(admin, "domains", "domain", $$"""{"name":"{{name}}"}""", "id:s name:s description:s enabled:b tags:l options:o links:o");
        await MadeAsync(admin, "users", "user", $$"""{"name":"{{name}}"}""", "id:s name:s domain_id:s enabled:b options:o password_expires_at:s? links:o");
        await MadeAsync(admin, "roles", "role", $$"""{"name":"{{name}}"}""", "id:s name:s domain_id:s? description:s? options:o links:o");
        await MadeAsync(admin, "groups", "group", $$"""{"name":"{{name}}"}""", "id:s name:s domain_id:s description:s links:o");
        await MadeAsync(admin, "regions", "region", "{}", "id:s description:s parent_region_id:s? links:o");
        await MadeAsync(
            admin, "endpoints", "endpoint", $$"""{"service_id":"{{service}}","interface":"public","url":"http://a","region":"r-{{name}}"}""",
            "id:s service_id:s interface:s url:s region:s region_id:s enabled:b links:o");
        await MadeAsync(admin, "policies", "policy", """{"blob":"{}","type":"application/json"}""", "id:s blob:s type:s links:o");
        var limits = await host.PostAsync(
            "/v3/registered_limits", $$"""{"registered_limits":[{"service_id":"{{service}}","resource_name":"r","default_limit":1}]}""", admin);
        Assert.Equal(201, limits.Status);
        Assert.Empty(Shape.Misses(
            JsonNode.Parse(limits.Body)!["registered_limits"]![0]!, "id:s service_id:s region_id:s? resource_name:s default_limit:n description:s? links:o"));
    }

    [Fact]
    public async Task A_trust_has_its_keys_gives_a_token_and_is_absent_to_others()
    {
        var (lender, _, project, _, token) = await host.NewMemberAsync();
        var (borrower, name, _, _, other) = await host.NewMemberAsync();
        var (_, _, _, _, stranger) = await host.NewMemberAsync();

        var made = await host.PostAsync(
            "/v3/OS-TRUST/trusts",
            $$$"""{"trust":{"trustor_user_id":"{{{lender}}}","trustee_user_id":"{{{borrower}}}","project_id":"{{{project}}}","impersonation":true,"roles":[{"name":"member"}]}}""",
            token);
        Assert.Equal(201, made.Status);
        var trust = JsonNode.Parse(made.Body)!["trust"]!;
        Assert.Empty(Shape.Misses(
            trust,
            """
            id:s trustor_user_id:s trustee_user_id:s project_id:s impersonation:b expires_at:s? remaining_uses:n? deleted_at:s? roles:l
            roles_links:o redelegation_count:n links:o
            """));

        var issued = await host.PostAsync(
            "/v3/auth/tokens",
            $$$"""{"auth":{"identity":{"methods":["token"],"token":{"id":"{{{other}}}"} },"scope":{"OS-TRUST:trust":{"id":"{{{trust["id"]}}}"} } } }""");
        Assert.Equal(201, issued.Status);
        var described = JsonNode.Parse(issued.Body)!["token"]!;
        Assert.Equal((lender, project, borrower), (
            (string?)described["user"]!["id"], (string?)described["project"]!["id"], (string?)described["OS-TRUST:trust"]!["trustee_user"]!["id"]));
        Assert.NotEqual(name, (string?)described["user"]!["name"]);

        var path = $"/v3/OS-TRUST/trusts/{trust["id"]}";
        Assert.Equal((200, 404, 404), (
            (await host.GetAsync(path, other)).Status, (await host.GetAsync(path, stranger)).Status, (await host.GetAsync(path + "x", token)).Status));
        Assert.Equal(403, (await host.CallAsync(HttpMethod.Delete, path, other)).Status);
        Assert.Equal(204, (await host.CallAsync(HttpMethod.Delete, path, token)).Status);
        Assert.Equal(401, (await host.GetAsync("/v3/auth/projects", issued.Subject)).Status);
    }

    private async Task<string> MadeAsync(string token, string collection, string name, string body, string shape)
    {
        var made = await host.PostAsync("/v3/" + collection, new JsonObject { [name] = JsonNode.Parse(body) }.ToJsonString(), token);
        Assert.Equal(201, made.Status);
        var one = JsonNode.Parse(made.Body)![name]!;
        var shown = await host.GetAsync($"/v3/{collection}/{one["id"]}", token);
        Assert.Empty(Shape.Misses(one, shape).Concat(Shape.Misses(JsonNode.Parse(shown.Body)![name]!, shape)));
        return (string)one["id"]!;
    }
}
