using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Rest;
using Nephos.Identity.Tokens;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Credentials;

/// <summary>/v3/credentials, the access keys of a user, and tokens for signatures.</summary>
internal static class CredentialEndpoints
{
    public static void Map(RestRoutes rest)
    {
        MapCredentials(rest);
        MapAccessKeys(rest);
        rest.Post("/v3/ec2tokens", Ec2TokenAsync);
        rest.Post("/v3/s3tokens", S3TokenAsync);
    }

    private static void MapCredentials(RestRoutes rest)
    {
        rest.Get("/v3/credentials", async call =>
        {
            IEnumerable<OpenCredential> credentials =
                await call.Service<CredentialService>().ListAsync(call.Operation, call.Query("user_id"), call.Cancelled);
            credentials = call.Where(credentials, "type", credential => credential.Record.Type);
            return call.Collection("credentials", credentials, credential => credential.Record.Id, credential => Json(credential, call));
        });
        rest.Post("/v3/credentials", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "credential");
            var draft = (body.Text("user_id") ?? call.Operation.UserId, body.Text("project_id"), body.RequiredText("type"), Blob(body));
            return One(201, await call.Service<CredentialService>().CreateAsync(call.Operation, draft, "", call.Cancelled), call);
        });
        rest.Get("/v3/credentials/{id}", async call =>
            One(200, await call.Service<CredentialService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled), call));
        rest.Patch("/v3/credentials/{id}", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "credential");
            var before = await call.Service<CredentialService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled);
            RequireSame(body, "user_id", before.Record.UserId);
            RequireSame(body, "type", before.Record.Type);
            return One(200, await call.Service<CredentialService>().UpdateAsync(
                call.Operation, call.Route("id"), body.Has("blob") ? Blob(body) : null, body.Text("project_id"), call.Cancelled), call);
        });
        rest.Delete("/v3/credentials/{id}", async call =>
        {
            await call.Service<CredentialService>().DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static void MapAccessKeys(RestRoutes rest)
    {
        const string Root = "/v3/users/{user}/credentials/OS-EC2";
        rest.Get(Root, async call => call.Collection(
            "credentials", await call.Service<Ec2Service>().ListAsync(call.Operation, call.Route("user"), call.Cancelled),
            key => key.Access, key => Json(key, call)));
        rest.Post(Root, async call =>
        {
            var projectId = new JsonBody(await call.ReadJsonAsync(), "").RequiredText("tenant_id");
            var made = await call.Service<Ec2Service>().CreateAsync(call.Operation, call.Route("user"), projectId, "", call.Cancelled);
            return RestResult.Json(201, new JsonObject { ["credential"] = Json(made, call) });
        });
        rest.Get(Root + "/{access}", async call =>
        {
            var key = await call.Service<Ec2Service>().GetAsync(call.Operation, call.Route("user"), call.Route("access"), call.Cancelled);
            return RestResult.Json(200, new JsonObject { ["credential"] = Json(key, call) });
        });
        rest.Delete(Root + "/{access}", async call =>
        {
            await call.Service<Ec2Service>().DeleteAsync(call.Operation, call.Route("user"), call.Route("access"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static async Task<RestResult> Ec2TokenAsync(RestCall call)
    {
        var body = new JsonBody(await call.ReadJsonAsync(), "");
        var signed = body.Object("credentials") ?? body.Object("credential") ?? body.Object("ec2Credentials") ??
            throw Faults.Invalid("credentials", "is a required object");
        var request = new SignedRequest
        {
            Access = signed.RequiredText("access"),
            Signature = signed.RequiredText("signature"),
            Host = signed.Text("host") ?? "",
            Verb = signed.Text("verb") ?? "",
            Path = signed.Text("path") ?? "",
            Params = Texts(signed.Object("params")),
            Headers = Texts(signed.Object("headers")),
            BodyHash = signed.Text("body_hash") ?? "",
        };
        return Token(await call.Service<Ec2Service>().AuthenticateAsync(call.Operation, request, call.Cancelled));
    }

    private static async Task<RestResult> S3TokenAsync(RestCall call)
    {
        var body = new JsonBody(await call.ReadJsonAsync(), "");
        var signed = body.Object("credentials") ?? body.Object("credential") ?? throw Faults.Invalid("credentials", "is a required object");
        byte[] stringToSign;
        try
        {
            stringToSign = Convert.FromBase64String(Padded(signed.RequiredText("token").Replace('-', '+').Replace('_', '/')));
        }
        catch (FormatException)
        {
            throw Faults.Invalid("credentials.token", "must be base64");
        }
        return Token(await call.Service<Ec2Service>().AuthenticateAsync(
            call.Operation, signed.RequiredText("access"), stringToSign, signed.RequiredText("signature"), call.Cancelled));
    }

    private static string Padded(string base64) => base64.TrimEnd('=').PadRight((base64.TrimEnd('=').Length + 3) / 4 * 4, '=');

    private static RestResult Token((string Token, TokenDescription Description) issued) =>
        RestResult.Json(200, TokenJson.Of(issued.Description, withCatalog: true)).WithHeader("X-Subject-Token", issued.Token);

    private static Dictionary<string, string> Texts(JsonBody? body) =>
        body?.Json.ToDictionary(pair => pair.Key, pair => pair.Value?.ToString() ?? "", StringComparer.Ordinal) ?? [];

    private static string Blob(JsonBody body) => body.Json["blob"] is JsonObject json ? json.ToJsonString() : body.RequiredText("blob");

    private static void RequireSame(JsonBody body, string name, string? before)
    {
        if (body.Has(name) && body.Text(name) != before)
        {
            throw Faults.Invalid(name, "of a credential cannot change");
        }
    }

    private static RestResult One(int status, OpenCredential credential, RestCall call) =>
        RestResult.Json(status, new JsonObject { ["credential"] = Json(credential, call) });

    private static JsonObject Json(OpenCredential credential, RestCall call) => new()
    {
        ["id"] = credential.Record.Id,
        ["user_id"] = credential.Record.UserId,
        ["project_id"] = credential.Record.ProjectId,
        ["type"] = credential.Record.Type,
        ["blob"] = credential.Blob,
        ["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/credentials/{credential.Record.Id}" },
    };

    private static JsonObject Json(AccessKey key, RestCall call) => new()
    {
        ["user_id"] = key.UserId,
        ["tenant_id"] = key.ProjectId,
        ["access"] = key.Access,
        ["secret"] = key.Secret,
        ["trust_id"] = null,
        ["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}/v3/users/{key.UserId}/credentials/OS-EC2/{key.Access}" },
    };
}
