using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Images.Catalog;
using Nephos.Kernel.Errors;

namespace Nephos.Images.Rest;

/// <summary>With whom an image is shared.</summary>
internal static class MemberEndpoints
{
    public static void Map(RestRoutes rest)
    {
        rest.Get("/v2/images/{id}/members", async call =>
        {
            var id = call.Route("id");
            var members = await Members(call).ListAsync(call.Operation, id, call.Cancelled);
            return RestResult.Json(200, new JsonObject
            {
                ["members"] = new JsonArray([.. members.Select(member => ImageRepresentation.Of(member, id))]),
                ["schema"] = "/v2/schemas/members",
            });
        });
        rest.Post("/v2/images/{id}/members", async call =>
            Shown(call, await Members(call).AddAsync(call.Operation, call.Route("id"), Text(await call.ReadJsonAsync(), "member"), call.Cancelled)));
        rest.Get("/v2/images/{id}/members/{member}", async call =>
            Shown(call, await Members(call).GetAsync(call.Operation, call.Route("id"), call.Route("member"), call.Cancelled)));
        rest.Put("/v2/images/{id}/members/{member}", async call =>
        {
            var status = ImageMapping.ParseMemberStatus(Text(await call.ReadJsonAsync(), "status"));
            return Shown(call, await Members(call).SetStatusAsync(call.Operation, call.Route("id"), call.Route("member"), status, call.Cancelled));
        });
        rest.Delete("/v2/images/{id}/members/{member}", async call =>
        {
            await Members(call).RemoveAsync(call.Operation, call.Route("id"), call.Route("member"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static MemberService Members(RestCall call) => call.Service<MemberService>();

    private static RestResult Shown(RestCall call, ImageMember member) => RestResult.Json(200, ImageRepresentation.Of(member, call.Route("id")));

    private static string Text(JsonObject body, string name) =>
        body[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw Faults.Invalid(name, "must be a string");
}
