using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Projects;
using Nephos.Identity.Rest;

namespace Nephos.Identity.PolicyDocuments;

/// <summary>/v3/policies.</summary>
internal static class PolicyDocumentEndpoints
{
    private const string Root = "/v3/policies";

    private static readonly string[] Fields = ["blob", "type"];

    public static void Map(RestRoutes rest)
    {
        rest.Get(Root, async call =>
        {
            IEnumerable<PolicyDocument> documents = await Service(call).ListAsync(call.Operation, call.Cancelled);
            documents = call.Where(documents, "type", document => document.Type);
            return call.Collection("policies", documents, document => document.Id, document => Json(document, call));
        });
        rest.Post(Root, async call =>
        {
            var body = await JsonBody.ReadAsync(call, "policy");
            var draft = (Blob(body) ?? body.RequiredText("blob"), body.RequiredText("type"), body.Extra(Fields));
            return One(201, await Service(call).CreateAsync(call.Operation, draft, "", call.Cancelled), call);
        });
        rest.Get(Root + "/{id}", async call => One(200, await Service(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled), call));
        rest.Patch(Root + "/{id}", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "policy");
            return One(200, await Service(call).UpdateAsync(
                call.Operation, call.Route("id"), Blob(body), body.Text("type"), body.Extra(Fields), call.Cancelled), call);
        });
        rest.Delete(Root + "/{id}", async call =>
        {
            await Service(call).DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static PolicyDocumentService Service(RestCall call) => call.Service<PolicyDocumentService>();

    private static string? Blob(JsonBody body) => body.Json["blob"] is JsonObject json ? json.ToJsonString() : body.Text("blob");

    private static RestResult One(int status, PolicyDocument document, RestCall call) =>
        RestResult.Json(status, new JsonObject { ["policy"] = Json(document, call) });

    private static JsonObject Json(PolicyDocument document, RestCall call)
    {
        var json = new JsonObject { ["id"] = document.Id, ["blob"] = document.Blob, ["type"] = document.Type };
        ProjectJson.AddExtra(json, document.Extra);
        json["links"] = new JsonObject { ["self"] = $"{call.BaseUrl}{Root}/{document.Id}" };
        return json;
    }
}
