using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Operations;
using Nephos.Networking.Rest;
using Nephos.Networking.Sharing;
using Nephos.Networking.State;

namespace Nephos.Networking.AddressGroups;

internal static class AddressGroupEndpoints
{
    private const string Path = "/v2.0/address-groups";

    public static void Map(RestRoutes rest, AddressGroupService groups, NetworkStore store)
    {
        rest.Get(Path, async call =>
        {
            var view = await store.ViewAsync(call.Cancelled);
            return ListQuery.Answer(call, "address_groups", Path,
                view.AddressGroups.Values.Where(call.Operation.Sees).Select(group => ToJson(group, call.Operation)));
        });
        rest.Post(Path, async call =>
        {
            var body = await RestBody.OneAsync(call, "address_group");
            var request = new NewAddressGroup(body.ProjectId(), body.String("name"), body.String("description"), body.Strings("addresses"), null);
            body.Done();
            return Answer(call, 201, await groups.CreateAsync(call.Operation, request, call.Cancelled));
        });
        rest.Get(Path + "/{id}", async call =>
        {
            var group = (await store.ViewAsync(call.Cancelled)).AddressGroup(call.Operation, call.Route("id"));
            return RestResult.Json(200, new JsonObject { ["address_group"] = ListQuery.Fields(call, ToJson(group, call.Operation)) });
        });
        rest.Put(Path + "/{id}", async call =>
        {
            var body = await RestBody.OneAsync(call, "address_group");
            var changes = new AddressGroupChanges
            {
                Name = body.Optional("name", body.String),
                Description = body.Optional("description", body.String),
            };
            body.Done();
            return Answer(call, 200, await groups.UpdateAsync(call.Operation, call.Route("id"), changes, call.Cancelled));
        });
        rest.Put(Path + "/{id}/add_addresses", async call =>
            Answer(call, 200, await groups.AddAsync(call.Operation, call.Route("id"), await ReadAddressesAsync(call), call.Cancelled)));
        rest.Put(Path + "/{id}/remove_addresses", async call =>
            Answer(call, 200, await groups.RemoveAsync(call.Operation, call.Route("id"), await ReadAddressesAsync(call), call.Cancelled)));
        rest.Delete(Path + "/{id}", async call =>
        {
            await groups.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
    }

    private static async Task<IReadOnlyList<string>> ReadAddressesAsync(RestCall call)
    {
        var body = await RestBody.WholeAsync(call);
        var addresses = body.Strings("addresses");
        body.Done();
        return addresses;
    }

    private static RestResult Answer(RestCall call, int status, AddressGroup group) =>
        RestResult.Json(status, new JsonObject { ["address_group"] = ToJson(group, call.Operation) });

    private static JsonObject ToJson(AddressGroup group, OperationContext operation) => new()
    {
        ["id"] = group.Id,
        ["name"] = group.Name,
        ["tenant_id"] = group.ProjectId,
        ["project_id"] = group.ProjectId,
        ["description"] = group.Description,
        ["shared"] = group.Allows(GrantAction.Shared, operation.ProjectId),
        ["addresses"] = JsonParts.Strings(group.Addresses.Select(address => address.ToString())),
        ["created_at"] = JsonParts.Time(group.CreatedAt),
        ["updated_at"] = JsonParts.Time(group.UpdatedAt),
        ["revision_number"] = group.Revision,
    };
}
