using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Migrations;

internal static class MigrationEndpoints
{
    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-migrations", async call =>
        {
            var all = await call.Service<MigrationLog>().ListAsync(call.Operation, new MigrationQuery(
                call.Query("instance_uuid"), call.Query("host"), call.Query("status"), call.Query("source_compute"),
                call.Query("migration_type") is { } kind ? Kind(kind) : null), call.Cancelled);
            var (items, more) = call.From(59) ? call.Page(all, item => item.Migration.Uuid) : (all, false);
            var answer = new JsonObject { ["migrations"] = RestParts.Array(items.Select(item => Json(call, item))) };
            if (more)
            {
                call.AddNext(answer, "migrations_links", "os-migrations", items[^1].Migration.Uuid);
            }
            return RestResult.Json(200, answer);
        });
        rest.Get(root + "/servers/{id}/migrations", async call =>
        {
            call.RequireFrom(23);
            call.Operation.RequireAdmin("os_compute_api:servers:migrations:index");
            await call.Service<Instances.InstanceService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled);
            // Only live migrations in progress are listed here, and there are none.
            return RestResult.Json(200, new JsonObject { ["migrations"] = new JsonArray() });
        });
    }

    private static MigrationKind Kind(string name) => name switch
    {
        "resize" => MigrationKind.Resize,
        "migration" => MigrationKind.Migration,
        "evacuation" => MigrationKind.Evacuation,
        _ => throw ComputeFaults.Refers("migration_type", "Invalid input for query parameters migration_type. It is none of resize, migration, evacuation"),
    };

    private static JsonObject Json(RestCall call, MigrationDetails details)
    {
        var migration = details.Migration;
        var json = new JsonObject
        {
            ["id"] = migration.Number,
            ["status"] = details.Status,
            ["instance_uuid"] = migration.InstanceId,
            ["source_node"] = migration.Source,
            ["source_compute"] = migration.Source,
            ["dest_node"] = migration.Destination,
            ["dest_compute"] = migration.Destination,
            ["dest_host"] = migration.Destination,
            ["old_instance_type_id"] = Number(migration.OldFlavorId),
            ["new_instance_type_id"] = Number(migration.NewFlavorId),
            ["created_at"] = RestParts.Micros(migration.CreatedAt),
            ["updated_at"] = RestParts.MicrosOrNull(migration.UpdatedAt),
        };
        if (call.From(23))
        {
            json["migration_type"] = migration.Kind switch
            {
                MigrationKind.Resize => "resize",
                MigrationKind.Migration => "migration",
                MigrationKind.Evacuation => "evacuation",
                _ => throw new ArgumentOutOfRangeException(nameof(details), migration.Kind, null),
            };
        }
        if (call.From(59))
        {
            json["uuid"] = migration.Uuid;
        }
        if (call.From(80))
        {
            json["user_id"] = migration.UserId;
            json["project_id"] = migration.ProjectId;
        }
        return json;
    }

    // Old clients expect a number; a flavor whose id is none has nothing to show.
    private static JsonNode? Number(string flavorId) =>
        int.TryParse(flavorId, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
