using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Networking.Rest;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;

namespace Nephos.Networking.AddressScopes;

internal static class AddressScopeEndpoints
{
    private const string Path = "/v2.0/address-scopes";

    public static void Map(RestRoutes rest, AddressScopeService scopes, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "address_scopes", Path,
                view.AddressScopes.Values.Where(call.Operation.Sees).Select(scope => ToJson(scope, call.Operation)));
        });
        rest.Post(Path, async call =>
        {
            var body = await RestBody.OneAsync(call, "address_scope");
            var request = new NewAddressScope(body.ProjectId(), body.String("name"),
                body.IntOrNull("ip_version") ?? throw Faults.Invalid("ip_version", "must be given"), body.Bool("shared", otherwise: false), null);
            body.Done();
            return Answer(201, ToJson(await scopes.CreateAsync(call.Operation, request, call.Cancelled), call.Operation));
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var scope = (await store.ViewAsync(call.Cancelled)).AddressScope(call.Operation, call.Route("id"));
            return Answer(200, ListQuery.Fields(call, ToJson(scope, call.Operation)));
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var body = await RestBody.OneAsync(call, "address_scope");
            var changes = new AddressScopeChanges
            {
                Name = body.Optional("name", body.String),
                Shared = body.Optional("shared", name => body.Bool(name, otherwise: false)),
            };
            body.Done();
            return Answer(200, ToJson(await scopes.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled), call.Operation));
        });
        rest.Delete(Path + "/{id}", async call =>
        {
            await scopes.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static RestResult Answer(int status, JsonObject scope) => RestResult.Json(status, new JsonObject { ["address_scope"] = scope });

    private static JsonObject ToJson(AddressScope scope, OperationContext operation) => new()
    {
        ["id"] = scope.Id,
        ["name"] = scope.Name,
        ["tenant_id"] = scope.ProjectId,
        ["project_id"] = scope.ProjectId,
        ["ip_version"] = scope.IpVersion,
        ["shared"] = scope.Allows(GrantAction.Shared, operation.ProjectId),
    };
}
