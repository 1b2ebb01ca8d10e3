Require Import Reals Lra Psatz.
Open Scope R_scope.
Inductive theorems : Type := nothing | also (P : Prop) (proof : P) (others : theorems).
(* ---- What must be believed: the network 2-2-1, its step, and what the paper's symbols stand for. ---- *)
Record weights := W { c1 : R; c2 : R; c3 : R; c4 : R; c5 : R; c6 : R }.
Record sample := X { i1 : R; i2 : R; goal : R }.
Definition relu (s : R) : R := if Rlt_dec 0 s then s else 0.
Definition gate (s : R) : R := if Rlt_dec 0 s then 1 else 0.
Definition s_1 w x := c1 w * i1 x + c2 w * i2 x.
Definition s_2 w x := c3 w * i1 x + c4 w * i2 x.
Definition v_1 w x := relu (s_1 w x).
Definition v_2 w x := relu (s_2 w x).
Definition vc_1 w x := v_1 w x. Definition vc_2 w x := v_2 w x. (* v^c, that of the weights before all steps *)
Definition out w x := c5 w * v_1 w x + c6 w * v_2 w x.
Definition err w x := out w x - goal x.
Definition last_1 eta w x := c5 w - eta * err w x * v_1 w x.
Definition last_2 eta w x := c6 w - eta * err w x * v_2 w x.
(* the first layer's step with the error through the weights a and b, and the last layer's weights d and f after it *)
Definition moved eta w x a b d f := W
  (c1 w - eta * err w x * a * gate (s_1 w x) * i1 x) (c2 w - eta * err w x * a * gate (s_1 w x) * i2 x)
  (c3 w - eta * err w x * b * gate (s_2 w x) * i1 x) (c4 w - eta * err w x * b * gate (s_2 w x) * i2 x) d f.
Definition sequential eta w x := moved eta w x (last_1 eta w x) (last_2 eta w x) (last_1 eta w x) (last_2 eta w x).
Definition simultaneous eta w x := moved eta w x (c5 w) (c6 w) (last_1 eta w x) (last_2 eta w x).
Definition held w5' w6' eta w x := moved eta w x w5' w6' w5' w6'.
Definition slope_1 w x := err w x * c5 w * gate (s_1 w x).
Definition slope_2 w x := err w x * c6 w * gate (s_2 w x).
Definition other_way x := X (i1 x) (- i2 x) (goal x).
(* p and q: what w' v' = (w' + p) v^c asks for, and 0 where v^c is 0 *)
Definition ratio (w v c : R) : R := if Req_EM_T c 0 then 0 else w * (v - c) / c.
Definition p_1 w n x := ratio (c5 n) (v_1 n x) (v_1 w x).
Definition p_2 w n x := ratio (c6 n) (v_2 n x) (v_2 w x).
Definition r_1 w n x := c5 n + p_1 w n x. Definition r_2 w n x := c6 n + p_2 w n x.
(* p as a function of w_5', with v^c, dE/dY and the gates held *)
Definition p_held eta w x u := if Rlt_dec 0 (s_1 w x) then
  (if Rlt_dec 0 (s_1 w x - eta * err w x * u * (i1 x ^ 2 + i2 x ^ 2)) then - eta * err w x * u ^ 2 * (i1 x ^ 2 + i2 x ^ 2) / v_1 w x else - u) else 0.
(* P of eq. 28, which is about dE/dY and v^c that are not 0: 0 at w_5, and - eta dE/dY v^c dP/dw_5' = p, with the gates as they are at w *)
Definition p_case eta w x w' u := if Rlt_dec 0 (s_1 w x) then
  (if Rlt_dec 0 (s_1 w x - eta * err w x * w' * (i1 x ^ 2 + i2 x ^ 2)) then - eta * err w x * u ^ 2 * (i1 x ^ 2 + i2 x ^ 2) / v_1 w x else - u) else 0.
Definition is_P eta w x w' (P : R -> R) := err w x <> 0 /\ v_1 w x <> 0 /\ P (c5 w) = 0 /\
  forall u, exists l, derivable_pt_lim P u l /\ - eta * err w x * v_1 w x * l = p_case eta w x w' u.
Lemma ratio_solves w v c : c <> 0 \/ v - c = 0 -> w * v = (w + ratio w v c) * c.
Proof. intros H; unfold ratio; destruct (Req_EM_T c 0) as [E|E]; [destruct H; [contradiction | assert (v = 0) as -> by lra; rewrite E; ring] | field; exact E]. Qed.
Lemma relu_on s : 0 <= s -> relu s = s. Proof. unfold relu; destruct (Rlt_dec 0 s); lra. Qed.
Lemma relu_off s : s <= 0 -> relu s = 0. Proof. unfold relu; destruct (Rlt_dec 0 s); lra. Qed.
Lemma gate_on s : 0 < s -> gate s = 1. Proof. unfold gate; destruct (Rlt_dec 0 s); lra. Qed.
Lemma gate_off s : s <= 0 -> gate s = 0. Proof. unfold gate; destruct (Rlt_dec 0 s); lra. Qed.
(* a dead unit stays where it is, so that p exists *)
Lemma still_1 eta w x a b d f : v_1 w x <> 0 \/ v_1 (moved eta w x a b d f) x - v_1 w x = 0.
Proof. destruct (Rlt_dec 0 (s_1 w x)) as [H|H]; [left; unfold v_1; rewrite relu_on; lra | right].
  assert (E : s_1 (moved eta w x a b d f) x = s_1 w x) by (unfold s_1 at 1, moved; cbn; rewrite gate_off by lra; unfold s_1; ring).
  unfold v_1; rewrite E; ring. Qed.
Lemma still_2 eta w x a b d f : v_2 w x <> 0 \/ v_2 (moved eta w x a b d f) x - v_2 w x = 0.
Proof. destruct (Rlt_dec 0 (s_2 w x)) as [H|H]; [left; unfold v_2; rewrite relu_on; lra | right].
  assert (E : s_2 (moved eta w x a b d f) x = s_2 w x) by (unfold s_2 at 1, moved; cbn; rewrite gate_off by lra; unfold s_2; ring).
  unfold v_2; rewrite E; ring. Qed.
Lemma active_1 eta w x a b d f : 0 < s_1 w x -> 0 <= s_1 (moved eta w x a b d f) x ->
  p_1 w (moved eta w x a b d f) x = d * (- eta * err w x * a * (i1 x ^ 2 + i2 x ^ 2)) / s_1 w x.
Proof. intros H K. unfold p_1, ratio, v_1. rewrite (relu_on _ K), (relu_on (s_1 w x)) by lra.
  destruct (Req_EM_T (s_1 w x) 0); [lra |]. unfold s_1 at 1, moved; cbn. rewrite gate_on by exact H. unfold s_1; field. unfold s_1 in *; assumption. Qed.
Lemma active_2 eta w x a b d f : 0 < s_2 w x -> 0 <= s_2 (moved eta w x a b d f) x ->
  p_2 w (moved eta w x a b d f) x = f * (- eta * err w x * b * (i1 x ^ 2 + i2 x ^ 2)) / s_2 w x.
Proof. intros H K. unfold p_2, ratio, v_2. rewrite (relu_on _ K), (relu_on (s_2 w x)) by lra.
  destruct (Req_EM_T (s_2 w x) 0); [lra |]. unfold s_2 at 1, moved; cbn. rewrite gate_on by exact H. unfold s_2; field. unfold s_2 in *; assumption. Qed.
Ltac decided := repeat (match goal with
  | |- context [if ?d then _ else _] => lazymatch d with context [if _ then _ else _] => fail | _ => destruct d end
  | H : context [if ?d then _ else _] |- _ => lazymatch d with context [if _ then _ else _] => fail | _ => destruct d end
  end; try (exfalso; lra)).
Ltac opened := unfold p_held, p_1, p_2, ratio, slope_1, slope_2, other_way, held, simultaneous, sequential, moved, last_1, last_2, err, out, v_1, v_2, s_1, s_2, relu, gate in *;
  cbn [c1 c2 c3 c4 c5 c6 i1 i2 goal] in *.
Ltac nonzero := repeat split; first [assumption | lra | intro; lra | intro; nra].
Ltac identity := first [lra | ring | solve [field; nonzero] | solve [exfalso; nra]].
Ltac linear := unfold sequential, simultaneous, moved, s_1, s_2, other_way in *; cbn [c1 c2 c3 c4 c5 c6 i1 i2 goal] in *; first [ring | field; nonzero].
(* p and q by what they solve *)
Ltac solved := unfold sequential, simultaneous in *; repeat (match goal with
  | |- context [p_1 ?w ?n ?x] => lazymatch goal with H : _ = (_ + p_1 w n x) * _ |- _ => fail | _ =>
      assert (c5 n * v_1 n x = (c5 n + p_1 w n x) * v_1 w x) by (apply ratio_solves; first [assumption | apply still_1]) end
  | |- context [p_2 ?w ?n ?x] => lazymatch goal with H : _ = (_ + p_2 w n x) * _ |- _ => fail | _ =>
      assert (c6 n * v_2 n x = (c6 n + p_2 w n x) * v_2 w x) by (apply ratio_solves; first [assumption | apply still_2]) end end);
  unfold out in *; lra.
Ltac compared := first [lra | apply Rnot_le_lt; intro; match goal with H : _ <> 0 |- _ => apply H; lra end].
Ltac seen := unfold sequential, simultaneous, moved in *; unfold s_1, s_2 in *; cbn [c1 c2 c3 c4 c5 c6 i1 i2 goal] in *;
  first [compared | rewrite gate_on by compared; lra].
Ltac active := unfold sequential, simultaneous in *;
  first [rewrite active_1 by seen | rewrite active_2 by seen];
  cbn [c1 c2 c3 c4 c5 c6 i1 i2 goal moved]; unfold v_1, v_2; rewrite ?relu_on by seen;
  unfold s_1, s_2 in *; cbn [c1 c2 c3 c4 c5 c6 i1 i2 goal moved] in *; field; nonzero.
Ltac row := intros; unfold vc_1, vc_2, r_1, r_2 in *; first [reflexivity | solve [linear] | solve [solved] | solve [active] | opened; first [solve [identity] | decided; identity]].
Ltac unequal := first [lra | let H := fresh in intro H; first [lra | field_simplify in H; lra]].
Ltac fields := cbn [c1 c2 c3 c4 c5 c6 i1 i2 goal].
Ltac evaluated := fields; repeat (match goal with
  | |- context [relu ?s] => first [rewrite (relu_on s) by lra | rewrite (relu_off s) by lra]
  | |- context [gate ?s] => first [rewrite (gate_on s) by lra | rewrite (gate_off s) by lra] end; fields).
Ltac stepped := unfold held, sequential, simultaneous, moved, last_1, last_2, err, out, v_1, v_2, s_1, s_2; evaluated; f_equal; lra.
Ltac numbers := unfold vc_1, vc_2, r_1, r_2, p_held, p_1, p_2, ratio, slope_1, slope_2, other_way, err, out, v_1, v_2, s_1, s_2; evaluated; decided; repeat split; unequal.
(* powers of w_5' *)
Lemma same_limit f x l l' : derivable_pt_lim f x l -> l = l' -> derivable_pt_lim f x l'. Proof. intros H <-; exact H. Qed.
Lemma near F f x l e : 0 < e -> (forall u, x - e < u < x + e -> F u = f u) -> derivable_pt_lim f x l -> derivable_pt_lim F x l.
Proof. intros He E H eps H0. destruct (H eps H0) as [d K]. assert (0 < Rmin d e) as M by (apply Rmin_pos; [apply cond_pos | exact He]).
  exists (mkposreal _ M); simpl; intros h Hn Hh. pose proof (Rmin_l d e); pose proof (Rmin_r d e).
  pose proof (Rabs_def2 h e ltac:(lra)). rewrite !E by lra. apply K; [exact Hn | lra]. Qed.
Lemma power k n x : derivable_pt_lim (fun u => k * u ^ n) x (k * (INR n * x ^ pred n)).
Proof. apply (derivable_pt_lim_scal (fun u => u ^ n)), derivable_pt_lim_pow. Qed.
Lemma monomial F k n x : (forall u, F u = k * u ^ n) -> derivable_pt_lim F x (k * (INR n * x ^ pred n)).
Proof. intros H; apply (near F (fun u => k * u ^ n) x _ 1); [lra | intros; apply H | apply power]. Qed.
Lemma difference k n c x : derivable_pt_lim (fun u => k * (u ^ n - c ^ n)) x (k * (INR n * x ^ pred n)).
Proof. apply (same_limit _ _ (k * (INR n * x ^ pred n) - 0)); [| ring].
  apply (near _ (fun u => k * u ^ n - k * c ^ n) x _ 1); [lra | intros; ring |].
  apply (derivable_pt_lim_minus (fun u => k * u ^ n) (fun _ => k * c ^ n)); [apply power | apply derivable_pt_lim_const]. Qed.
Ltac monomial_of n := eapply (monomial _ _ n); intros u; unfold vc_1, vc_2, r_1, r_2, held, moved; cbn [c1 c2 c3 c4 c5 c6 i1 i2 goal];
  match goal with |- ?f = ?k * _ => lazymatch eval pattern u in f with ?F _ => unify k (F 1) end end; cbv beta; unfold Rdiv; ring.
Ltac monomials := first [monomial_of 3%nat | monomial_of 2%nat].
Lemma p_open eta w x u : v_1 w x <> 0 -> 0 <= s_1 w x -> 0 <= s_1 w x - eta * err w x * u * (i1 x ^ 2 + i2 x ^ 2) ->
  p_case eta w x u u = - eta * err w x * u ^ 2 * (i1 x ^ 2 + i2 x ^ 2) / v_1 w x.
Proof. unfold p_case, v_1; intros V S K. assert (H : 0 < s_1 w x) by (destruct (Rlt_dec 0 (s_1 w x)); [assumption | exfalso; apply V, relu_off; lra]).
  rewrite relu_on in * by exact S. destruct (Rlt_dec 0 (s_1 w x)); [|contradiction]. destruct (Rlt_dec 0 _) as [J|J]; [reflexivity|].
  assert (E : s_1 w x = eta * err w x * u * (i1 x ^ 2 + i2 x ^ 2)) by lra. apply (Rmult_eq_reg_r (s_1 w x)); [| exact V].
  unfold Rdiv; rewrite Rmult_assoc, Rinv_l, Rmult_1_r by exact V. rewrite E at 1; ring. Qed.
(* a row on P: the slope of P is what eq. 28 says, for there is one slope alone *)
Ltac sloped := intros; unfold vc_1, vc_2, r_1, r_2 in *; match goal with HP : is_P ?eta ?w ?x ?u ?P, D : derivable_pt_lim ?P ?u ?l |- _ =>
  destruct HP as (E_ & V_ & _ & HP); destruct (HP u) as (l' & D' & F_); rewrite (uniqueness_limite P u l' l D' D) in F_; clear HP D' D;
  try (eexists; split; [monomials |]);
  first [solve [transitivity (- eta * err w x * v_1 w x * l); [ring | exact F_]] | apply (Rmult_eq_reg_l (- eta * err w x * v_1 w x));
    [rewrite F_ | repeat apply Rmult_integral_contrapositive_currified; first [assumption | lra]];
    first [change (p_case eta w x u u) with (p_held eta w x u) | idtac];
    first [solve [field; repeat split; first [assumption | lra]]
    | change (p_held eta w x u) with (p_case eta w x u u); rewrite p_open by (first [assumption | unfold s_1, held, moved in *; cbn [c1 c2 c3 c4 c5 c6 i1 i2 goal] in *; lra]);
      unfold held, moved; cbn [c1 c2 c3 c4 c5 c6 i1 i2 goal INR pred]; field; repeat split; first [assumption | lra]]] end.
Ltac at_numbers := unfold vc_1, vc_2, r_1, r_2, p_case, p_held, err, out, v_1, v_2, s_1, s_2; evaluated; decided; cbn [INR pred]; first [lra | field | ring].
