using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Nephos.Kernel.Errors;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Assignments;

internal sealed class AssignmentsGrpcService(AssignmentService assignments, AssignmentQuery query) : Wire.Assignments.AssignmentsBase
{
    public override async Task<Empty> GrantRole(Wire.RoleAssignment request, ServerCallContext context)
    {
        await assignments.GrantAsync(context.GetOperation(), Parse(request), context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> CheckRole(Wire.RoleAssignment request, ServerCallContext context)
    {
        await assignments.CheckAsync(context.GetOperation(), Parse(request), context.CancellationToken);
        return new Empty();
    }

    public override async Task<Empty> RevokeRole(Wire.RoleAssignment request, ServerCallContext context)
    {
        await assignments.RevokeAsync(context.GetOperation(), Parse(request), context.CancellationToken);
        return new Empty();
    }

    public override async Task<Wire.ListRoleAssignmentsResponse> ListRoleAssignments(
        Wire.ListRoleAssignmentsRequest request, ServerCallContext context)
    {
        var filter = new AssignmentFilter
        {
            UserId = request.UserId.NullIfEmpty(),
            GroupId = request.GroupId.NullIfEmpty(),
            RoleId = request.RoleId.NullIfEmpty(),
            ProjectId = request.ProjectId.NullIfEmpty(),
            DomainId = request.DomainId.NullIfEmpty(),
            System = request.System,
            InheritedOnly = request.InheritedOnly,
            Effective = request.Effective,
            IncludeSubtree = request.IncludeSubtree,
        };
        var rows = await query.ListAsync(context.GetOperation(), filter, context.CancellationToken);
        var page = Paging.Cut(rows, row => row.Key, request.PageToken, request.PageSize);
        return new Wire.ListRoleAssignmentsResponse { Assignments = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    private static Assignment Parse(Wire.RoleAssignment request) => new(
        request.ActorCase switch
        {
            Wire.RoleAssignment.ActorOneofCase.UserId => Actor.User(request.UserId),
            Wire.RoleAssignment.ActorOneofCase.GroupId => Actor.Group(request.GroupId),
            _ => throw Faults.Invalid("actor", "a user or a group is needed"),
        },
        request.TargetCase switch
        {
            Wire.RoleAssignment.TargetOneofCase.ProjectId => Target.Project(request.ProjectId),
            Wire.RoleAssignment.TargetOneofCase.DomainId => Target.Domain(request.DomainId),
            Wire.RoleAssignment.TargetOneofCase.System => Target.System,
            _ => throw Faults.Invalid("target", "a project, a domain or the system is needed"),
        },
        request.RoleId,
        request.Inherited);

    private static Wire.EffectiveAssignment ToWire(AssignmentRow row)
    {
        var (actor, target, roleId, inherited) = row.Assignment;
        var assignment = new Wire.RoleAssignment { RoleId = roleId, Inherited = inherited };
        if (actor.Kind == ActorKind.User)
        {
            assignment.UserId = actor.Id;
        }
        else
        {
            assignment.GroupId = actor.Id;
        }
        switch (target.Kind)
        {
            case TargetKind.Project:
                assignment.ProjectId = target.Id;
                break;
            case TargetKind.Domain:
                assignment.DomainId = target.Id;
                break;
            default:
                assignment.System = true;
                break;
        }
        return new Wire.EffectiveAssignment
        {
            Assignment = assignment,
            ThroughGroupId = row.ThroughGroupId ?? "",
            PriorRoleId = row.PriorRoleId ?? "",
            InheritedFromProjectId = row.InheritedFrom is { Kind: TargetKind.Project } project ? project.Id : "",
            InheritedFromDomainId = row.InheritedFrom is { Kind: TargetKind.Domain } domain ? domain.Id : "",
        };
    }
}
